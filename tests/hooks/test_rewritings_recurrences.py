"""Recurrences in other words: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .rewritings import ALL, FEW, Pairs, because, compare

PAIRS = Pairs()


class Lstm(nn.Module):
    """The first 15 rows of an image as a sequence; the last hidden state is classified."""

    kind = nn.LSTM

    def __init__(self):
        super().__init__()
        self.recurrent, self.linear = self.kind(48, 16, batch_first=True), nn.Linear(16, 10)

    def last(self, rows):
        return self.recurrent(rows)[0][:, -1]

    def forward(self, x):
        return self.linear(self.last(x[:, :, :15].permute(0, 2, 1, 3).flatten(2)))


class Gru(Lstm):
    """A GRU in its place."""

    kind = nn.GRU


class Rnn(Lstm):
    """A plain recurrence with tanh in its place."""

    kind = nn.RNN


def hidden_state(net, rows):
    state = net.recurrent(rows)[1]
    return (state[0] if isinstance(state, tuple) else state)[-1]


def sequence_first(net, rows):
    net.recurrent.batch_first = False
    try:
        return net.recurrent(rows.transpose(0, 1))[0][-1]
    finally:
        net.recurrent.batch_first = True


def zeros_given(net, rows):
    zeros = torch.zeros(1, len(rows), 16)
    return net.recurrent(rows, (zeros, zeros) if net.kind is nn.LSTM else zeros)[0][:, -1]


def by_keyword(net, rows):
    return net.recurrent(input=rows)[0][:, -1]


STEPS = {
    "hidden state": hidden_state,
    "sequence first": sequence_first,
    "zeros given": zeros_given,
    "keyword": by_keyword,
}
for base in (Lstm, Gru, Rnn):
    for name, step in STEPS.items():
        PAIRS.rewrite(f"{base.kind.__name__}: {name}", base, quick=base is Lstm or name == "zeros given", last=step)

# Step by step


def lstm_by_hand(net, rows):
    held = net.recurrent
    hidden = cell = torch.zeros(len(rows), 16)
    for row in rows.unbind(1):
        given = F.linear(row, held.weight_ih_l0, held.bias_ih_l0)
        taken, kept, new, shown = (given + F.linear(hidden, held.weight_hh_l0, held.bias_hh_l0)).chunk(4, 1)
        cell = torch.sigmoid(kept) * cell + torch.sigmoid(taken) * torch.tanh(new)
        hidden = torch.sigmoid(shown) * torch.tanh(cell)
    return hidden


def lstm_by_cells(net, rows):
    held = net.recurrent
    weights = (held.weight_ih_l0, held.weight_hh_l0, held.bias_ih_l0, held.bias_hh_l0)
    state = (rows.new_zeros(len(rows), 16),) * 2
    for row in rows.unbind(1):
        state = torch.lstm_cell(row, state, *weights)
    return state[0]


def gru_by_hand(net, rows):
    held, hidden = net.recurrent, rows.new_zeros(len(rows), 16)
    for row in rows.transpose(0, 1):
        reset, update, new = F.linear(row, held.weight_ih_l0, held.bias_ih_l0).chunk(3, 1)
        old_reset, old_update, old = F.linear(hidden, held.weight_hh_l0, held.bias_hh_l0).chunk(3, 1)
        update = torch.sigmoid(update + old_update)
        hidden = (1 - update) * torch.tanh(new + torch.sigmoid(reset + old_reset) * old) + update * hidden
    return hidden


def rnn_by_hand(net, rows):
    held, hidden = net.recurrent, rows.new_zeros(len(rows), 16)
    for row in rows.unbind(1):
        given = F.linear(row, held.weight_ih_l0, held.bias_ih_l0)
        hidden = torch.tanh(given + F.linear(hidden, held.weight_hh_l0, held.bias_hh_l0))
    return hidden


LOOP = because(
    "a loop of layers, not one recurrence",
    "near",
    "depth",
)
PAIRS.rewrite("LSTM: by hand", Lstm, LOOP, True, last=lstm_by_hand)
PAIRS.rewrite("LSTM: cells", Lstm, LOOP, True, last=lstm_by_cells)
PAIRS.rewrite("GRU: by hand", Gru, LOOP, True, last=gru_by_hand)
PAIRS.rewrite("RNN: by hand", Rnn, LOOP, last=rnn_by_hand)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_recurrence_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_recurrence_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
