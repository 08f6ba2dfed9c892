"""Building blocks against their formulas."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from spear_accel.model.layers import FeedForward, FixedTable, RMSNorm, drop, rotary_table, rotate, sinusoid_table


def test_rms_norm_formula() -> None:
    torch.manual_seed(0)
    norm, x = RMSNorm(8, 1e-6), torch.randn(2, 3, 8)
    torch.nn.init.normal_(norm.gain)
    expected = x / x.square().mean(-1, keepdim=True).sqrt() * norm.gain
    torch.testing.assert_close(norm(x), expected)
    assert norm(torch.zeros(1, 8)).abs().max() == 0.0


def test_feed_forward_gates_with_the_second_half() -> None:
    torch.manual_seed(0)
    layer, x = FeedForward(8, 12, 0.5, 1.0).eval(), torch.randn(2, 3, 8)
    value, gate = F.linear(x, layer.expand.weight[:12]), F.linear(x, layer.expand.weight[12:])
    torch.testing.assert_close(layer(x), F.linear(value * F.gelu(gate), layer.out.weight))


def test_rotation_keeps_length_and_depends_on_distance_only() -> None:
    torch.manual_seed(0)
    table = rotary_table(50, 8, 10_000.0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)

    def product(i: int, j: int) -> torch.Tensor:
        return (rotate(q, table[i : i + 1]) * rotate(k, table[j : j + 1])).sum()

    torch.testing.assert_close(rotate(q, table[17:18]).norm(), q.norm())
    torch.testing.assert_close(rotate(q, table[:1]), q)
    torch.testing.assert_close(product(9, 4), product(45, 40), atol=1e-5, rtol=1e-5)
    assert abs(product(9, 4) - product(9, 7)) > 1e-3


def test_drop_acts_in_training_only() -> None:
    """100,000 numbers: the dropped share within six standard deviations (2e-9), the mean kept."""
    torch.manual_seed(0)
    x = torch.ones(1000, 101)[:, :100]
    assert drop(x, 0.25, training=False) is x
    dropped = drop(x, 0.25, training=True)
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 6 * (0.1875 / 1e5) ** 0.5
    assert dropped.unique().tolist() == [0.0, torch.tensor(256 / 192).item()]
    for column in range(8):
        assert abs(float((dropped.flatten()[column::8] == 0).float().mean()) - 0.25) < 6 * (0.1875 / 12500) ** 0.5


def test_rotary_table_keeps_its_precision_when_the_model_is_cast() -> None:
    table = FixedTable(rotary_table(50, 8, 10_000.0))
    before = table.values.clone()
    for cast in (table.half(), table.to(torch.bfloat16), table.double(), table.to("cpu")):
        assert torch.equal(cast.values, before)


def test_sinusoids_at_one_step_a_text_id_meet_those_of_the_tokens() -> None:
    text, tokens = sinusoid_table(20, 8, 1.0), sinusoid_table(60, 8, 1 / 3)
    torch.testing.assert_close(text, tokens[::3])
    assert float(text[0, :4].abs().max()) == 0.0
    assert torch.equal(text[0, 4:], torch.ones(4))
    torch.testing.assert_close(text[7, 0], torch.tensor(7.0).sin())
