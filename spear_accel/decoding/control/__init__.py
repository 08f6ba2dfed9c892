"""How far to draft: costs, acceptance and the policies that weigh them."""
