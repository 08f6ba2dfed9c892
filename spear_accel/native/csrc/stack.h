// Layers of a stack on their way through a block of tokens: norms, linear maps, feed-forward, and the queries that read
// the same keys. What they read is the business of whoever derives from it.
//
// Batch-invariant: every number of a (row, token) is computed by the same operations in the same order, whatever the
// other rows, the block, the tree and the number of threads are.
#pragma once

#include <atomic>

#include "arena.h"
#include "attention.h"
#include "linear.h"
#include "parts.h"
#include "pool.h"

namespace spear {

// A head's query of one token of a row.
struct Asked {
    int head, token;
};

class Stack {
  protected:
    Stack(const SpearModel &model, int rows, int count, int threads)
        : m_(model), team_(threads), rows_(rows), count_(count), tokens_(rows * count) {}

    // Room for the activations of all tokens and `more` numbers; NULL where there is no memory, else where those begin.
    float *reserve(int64_t more) {
        const int64_t mixed = (int64_t)m_.heads * m_.head_dim;
        wide_ = padded(m_.dim);
        wide_qkv_ = padded(mixed + 2 * (int64_t)m_.kv_heads * m_.head_dim);
        wide_mixed_ = padded(mixed);
        wide_inner_ = padded(m_.inner);
        float *base = activations.room((2 * wide_ + wide_qkv_ + wide_mixed_ + 2 * wide_inner_) * tokens_ + more);
        if (!base) return nullptr;
        x_ = base, base += wide_ * tokens_;
        normed_ = base, base += wide_ * tokens_;
        qkv_ = base, base += wide_qkv_ * tokens_;
        mixed_ = base, base += wide_mixed_ * tokens_;
        inner_ = base, base += wide_inner_ * tokens_;
        gate_ = base, base += wide_inner_ * tokens_;
        return base;
    }

    void norm(const SpearNorm &norm) {
        team_.ranges(tokens_, 8, [&](int first, int end) {
            for (int i = first; i < end; ++i) normalise(norm, x_ + i * wide_, normed_ + i * wide_, m_.dim);
        });
    }

    // What a block reads: x_ itself where norms stand behind the blocks.
    const float *entering(const SpearNorm &before) {
        if (m_.post_norm) return x_;
        norm(before);
        return normed_;
    }

    // Behind a block that has added to x_.
    void leaving(const SpearNorm &behind) {
        if (!m_.post_norm) return;
        team_.ranges(tokens_, 8, [&](int first, int end) {
            for (int i = first; i < end; ++i) normalise(behind, x_ + i * wide_, x_ + i * wide_, m_.dim);
        });
    }

    void apply(const SpearLinear &map, const float *x, int64_t step, float *y, int64_t stride, Finish finish) {
        if (!linear(team_, map, x, step, tokens_, y, stride, finish)) no_memory_.store(true);
    }

    float scale() const { return 1.0f / std::sqrt((float)m_.head_dim); }

    Query query(int row, Asked asked, Seen seen, float *scores) const {
        const int64_t i = (int64_t)row * count_ + asked.token, at = (int64_t)asked.head * m_.head_dim;
        return {qkv_ + i * wide_qkv_ + at, seen, scores, mixed_ + i * wide_mixed_ + at};
    }

    // body(row, group, asked, count, room) for all queries, up to kTogether at a time that read the same keys; `room`
    // are kTogether times `each` numbers.
    template <class F>
    void each_group(int groups, int64_t each, F &&body) {
        const int heads = m_.heads / groups, asking = heads * count_, tasks = rows_ * groups;
        const int chunks = (asking + kTogether - 1) / kTogether;
        const int cuts = tasks >= 2 * team_.threads ? 1 : std::min(chunks, (2 * team_.threads + tasks - 1) / tasks);
        const int pieces = std::min(tasks * cuts, Pool::kMost);
        team_.each(pieces, [&](int piece) {
            float *room = scratch.room(kTogether * each);
            if (!room) {
                no_memory_.store(true);
                return;
            }
            for (int task = piece; task < tasks * cuts; task += pieces) {
                const int row = task / cuts / groups, group = task / cuts % groups, cut = task % cuts;
                for (int chunk = chunks * cut / cuts; chunk < chunks * (cut + 1) / cuts; ++chunk) {
                    Asked asked[kTogether];
                    int count = 0;
                    for (int n = chunk * kTogether; n < std::min(asking, (chunk + 1) * kTogether); ++n)
                        asked[count++] = {group * heads + n % heads, n / heads};
                    body(row, group, asked, count, room);
                }
            }
        });
    }

    void feed(const SpearLayer &now) {
        const Rows rows = rows_for(team_, now.expand, entering(now.feed_forward_norm), wide_, tokens_);
        if (!rows.x) return no_memory_.store(true);
        each_piece(team_, panels_of(now.expand), tokens_, [&](int panel, int end) {
            linear(now.expand, rows, panel, end, inner_, wide_inner_, kStore);
            const bool gated = now.gate.weights;
            if (gated) linear(now.gate, rows, panel, end, gate_, wide_inner_, kStore);
            for (int i = 0; i < tokens_; ++i) {
                float *inner = inner_ + i * wide_inner_;
                const float *gate = gate_ + i * wide_inner_;
                for (int at = panel * kPanel; at < end * kPanel; at += kWidth)
                    store(inner + at, gated ? activate(m_.activation, load(gate + at)) * load(inner + at)
                                            : activate(m_.activation, load(inner + at)));
            }
        });
        apply(now.contract, inner_, wide_inner_, x_, wide_, kAdd);
        leaving(now.feed_forward_norm);
    }

    const SpearModel &m_;
    Team team_;
    const int rows_, count_, tokens_;
    std::atomic<bool> no_memory_{false};
    int64_t wide_ = 0, wide_qkv_ = 0, wide_mixed_ = 0, wide_inner_ = 0;
    float *x_ = nullptr, *normed_ = nullptr, *qkv_ = nullptr, *mixed_ = nullptr, *inner_ = nullptr, *gate_ = nullptr;
};

}  // namespace spear
