"""How far to draft: costs, acceptance and the controllers that weigh them."""
