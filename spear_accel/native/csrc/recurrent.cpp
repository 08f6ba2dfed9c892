// A reading of the recurrent draft head: three products and one look at the text for every token.

#include <atomic>

#include "arena.h"
#include "attention.h"
#include "linear.h"
#include "parts.h"
#include "pool.h"
#include "step.h"

namespace spear {
namespace {

// x * sigmoid(x).
inline Vec silu(Vec x) { return x / (splat(1.0f) + exponential(-x)); }

template <class KV>
class Reading {
  public:
    Reading(const SpearRecurrent &head, const SpearReading &reading)
        : h_(head), r_(reading), team_(reading.threads), tokens_(reading.rows * reading.count),
          asked_(head.heads * head.head_dim), state_size_(2 * (int64_t)head.dim + asked_) {}

    int run() {
        for (int i = 0; i < tokens_; ++i)
            if (r_.ids[i] < 0 || r_.ids[i] >= h_.tokens) return SPEAR_BAD_TOKEN;
        if (!reserve()) return SPEAR_NO_MEMORY;
        look();
        if (!no_memory_.load()) move();
        if (!no_memory_.load()) say();
        return no_memory_.load() ? SPEAR_NO_MEMORY : SPEAR_OK;
    }

  private:
    const float *before(int i) const {
        const int t = i % r_.count, row = i / r_.count;
        return r_.before + ((int64_t)row * r_.before_count + (r_.places ? r_.places[t] : t)) * state_size_;
    }

    float *after(int i) const { return r_.after + i * state_size_; }
    const float *token(int i) const { return h_.token + r_.ids[i] * (asked_ + (int64_t)h_.inner); }

    bool reserve() {
        wide_ = padded(h_.dim), wide_joined_ = padded(h_.dim + (int64_t)asked_), wide_inner_ = padded(h_.inner);
        wide_said_ = padded(h_.vocab + (int64_t)asked_);
        float *base = activations.room((2 * wide_ + wide_joined_ + wide_inner_ + wide_said_) * tokens_);
        if (!base) return false;
        state_ = base, base += wide_ * tokens_;
        normed_ = base, base += wide_ * tokens_;
        joined_ = base, base += wide_joined_ * tokens_;
        inner_ = base, base += wide_inner_ * tokens_;
        said_ = base;
        return true;
    }

    // Beside each normed state what its queries find in the text.
    void look() {
        const int width = h_.head_dim, together = h_.heads / h_.groups;
        const float scale = 1.0f / std::sqrt((float)width);
        team_.each(tokens_, [&](int i) {
            const int row = i / r_.count;
            const float *state = before(i), *table = token(i);
            float *scores = scratch.room(padded(r_.cross_slots) + kPanel + padded(asked_));
            if (!scores) {
                no_memory_.store(true);
                return;
            }
            float *queries = scores + padded(r_.cross_slots) + kPanel;
            for (int c = 0; c < asked_; ++c) queries[c] = (state[2 * h_.dim + c] + table[c]) * scale;
            std::memcpy(joined_ + i * wide_joined_, state + h_.dim, h_.dim * sizeof(float));
            float *found = joined_ + i * wide_joined_ + h_.dim;
            for (int group = 0; group < h_.groups; ++group) {
                const int64_t plane = ((int64_t)row * h_.groups + group) * r_.cross_slots * width;
                for (int head = group * together; head < (group + 1) * together; ++head) {
                    const Query query{queries + head * width, Seen{r_.text[row], 0, nullptr}, scores, found + head * width};
                    attend(&query, 1, (const KV *)r_.keys + plane, (const KV *)r_.values + plane, width);
                }
            }
        });
    }

    // The next states, and they normed.
    void move() {
        const Rows rows = rows_for(team_, h_.enter, joined_, wide_joined_, tokens_);
        if (!rows.x) return no_memory_.store(true);
        each_piece(team_, panels_of(h_.enter), tokens_, [&](int panel, int end) {
            linear(h_.enter, rows, panel, end, inner_, wide_inner_, kStore);
            for (int i = 0; i < tokens_; ++i) {
                float *inner = inner_ + i * wide_inner_;
                const float *table = token(i) + asked_;
                int at = panel * kPanel;
                const int last = std::min(end * kPanel, h_.inner);
                for (; at + kWidth <= last; at += kWidth) store(inner + at, silu(load(inner + at) + load(table + at)));
                for (; at < last; ++at) {
                    const float x = inner[at] + table[at];
                    inner[at] = x / (1.0f + std::exp(-x));
                }
            }
        });
        for (int i = 0; i < tokens_; ++i)
            std::memcpy(state_ + i * wide_, before(i), h_.dim * sizeof(float));
        if (!linear(team_, h_.leave, inner_, wide_inner_, tokens_, state_, wide_, kAdd)) return no_memory_.store(true);
        for (int i = 0; i < tokens_; ++i) {
            normalise(h_.norm, state_ + i * wide_, normed_ + i * wide_, h_.dim);
            std::memcpy(after(i), state_ + i * wide_, h_.dim * sizeof(float));
            std::memcpy(after(i) + h_.dim, normed_ + i * wide_, h_.dim * sizeof(float));
        }
    }

    void say() {
        if (!linear(team_, h_.say, normed_, wide_, tokens_, said_, wide_said_, kStore)) return no_memory_.store(true);
        for (int i = 0; i < tokens_; ++i) {
            const float *said = said_ + i * wide_said_;
            std::memcpy(r_.logits + (int64_t)i * h_.vocab, said, h_.vocab * sizeof(float));
            std::memcpy(after(i) + 2 * h_.dim, said + h_.vocab, asked_ * sizeof(float));
        }
    }

    const SpearRecurrent &h_;
    const SpearReading &r_;
    Team team_;
    const int tokens_, asked_;
    const int64_t state_size_;
    std::atomic<bool> no_memory_{false};
    int64_t wide_ = 0, wide_joined_ = 0, wide_inner_ = 0, wide_said_ = 0;
    float *state_ = nullptr, *normed_ = nullptr, *joined_ = nullptr, *inner_ = nullptr, *said_ = nullptr;
};

}  // namespace
}  // namespace spear

using namespace spear;

int32_t spear_recurrent_start(const SpearRecurrent *head, const float *hidden, int64_t tokens, float *states,
                              int32_t threads) {
    const int dim = head->dim, asked = head->heads * head->head_dim;
    const int64_t wide = padded(dim), said = padded(head->vocab + (int64_t)asked);
    float *normed = activations.room((2 * wide + said) * tokens);
    if (!normed) return SPEAR_NO_MEMORY;
    float *state = normed + wide * tokens, *out = state + wide * tokens;
    for (int64_t i = 0; i < tokens; ++i) normalise(head->state_norm, hidden + i * dim, normed + i * wide, dim);
    Team team(threads);
    if (!linear(team, head->state, normed, wide, (int)tokens, state, wide, kStore)) return SPEAR_NO_MEMORY;
    for (int64_t i = 0; i < tokens; ++i) normalise(head->norm, state + i * wide, normed + i * wide, dim);
    if (!linear(team, head->say, normed, wide, (int)tokens, out, said, kStore)) return SPEAR_NO_MEMORY;
    for (int64_t i = 0; i < tokens; ++i) {
        float *left = states + i * (2 * dim + asked);
        std::memcpy(left, state + i * wide, dim * sizeof(float));
        std::memcpy(left + dim, normed + i * wide, dim * sizeof(float));
        std::memcpy(left + 2 * dim, out + i * said + head->vocab, asked * sizeof(float));
    }
    return SPEAR_OK;
}

int32_t spear_recurrent_step(const SpearRecurrent *head, const SpearReading *reading) {
    if (reading->cache_precision == SPEAR_BFLOAT16) return Reading<BFloat16>(*head, *reading).run();
    return Reading<float>(*head, *reading).run();
}
