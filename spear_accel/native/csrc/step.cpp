// The native step: any slice of a decoder's layers for new tokens of every live row, in place on the decoder's state.

#include "step.h"

#include "stack.h"

namespace spear {
namespace {

// Own, Text: how keys and values of the tokens, and those of the text, are kept.
template <class Own, class Text>
class Step : Stack {
  public:
    Step(const SpearModel &model, const SpearBlock &block)
        : Stack(model, block.rows, block.count, block.threads), b_(block) {}

    int run() {
        if (int fault = check()) return fault;
        ancestors_ = (int32_t *)reserve((int64_t)b_.count * b_.count + b_.count);
        if (!ancestors_) return SPEAR_NO_MEMORY;
        generations_ = ancestors_ + (int64_t)b_.count * b_.count;
        list_ancestors();
        enter();
        for (int layer = b_.first; layer < b_.last; ++layer) {
            const SpearLayer &now = m_.layers[layer];
            if (!b_.skip_attention || !b_.skip_attention[layer]) {
                attend_own(now, layer);
                attend_text(now, layer);
            }
            if (!b_.skip_feed || !b_.skip_feed[layer]) feed(now);
            if (no_memory_.load()) return SPEAR_NO_MEMORY;
        }
        for (int i = 0; i < tokens_; ++i) std::memcpy(b_.left + (int64_t)i * m_.dim, x_ + i * wide_, m_.dim * sizeof(float));
        return SPEAR_OK;
    }

  private:
    int position(int token) const {
        const int t = token % b_.count;
        return b_.lengths[token / b_.count] + (b_.depths ? (int)b_.depths[t] : t);
    }

    int check() const {
        for (int i = 0; i < tokens_; ++i) {
            if (b_.ids && (b_.ids[i] < 0 || b_.ids[i] >= m_.vocab)) return SPEAR_BAD_TOKEN;
            if (position(i) < 0 || position(i) >= m_.positions) return SPEAR_BAD_POSITION;
        }
        for (int r = 0; r < b_.rows; ++r)
            if (b_.lengths[r] + b_.count > b_.cache_slots) return SPEAR_BAD_POSITION;
        return SPEAR_OK;
    }

    // Of each token of a block those that it continues, itself the last, counted from the block's first.
    void list_ancestors() {
        for (int t = 0; t < b_.count; ++t) {
            int32_t *own = ancestors_ + (int64_t)t * b_.count;
            int found = 0;
            for (int u = 0; u < b_.count; ++u)
                if (b_.depths ? b_.visible[(int64_t)t * b_.count + u] : u <= t) own[found++] = u;
            generations_[t] = found;
        }
    }

    void enter() {
        const int dim = m_.dim;
        for (int i = 0; i < tokens_; ++i) {
            float *x = x_ + i * wide_;
            if (!b_.ids) {
                std::memcpy(x, b_.hidden + (int64_t)i * dim, dim * sizeof(float));
                continue;
            }
            const int64_t at = (int64_t)position(i) * dim;
            const float *e = m_.embedding + b_.ids[i] * dim;
            for (int d = 0; d < dim; ++d) x[d] = e[d] * m_.embedding_scale;
            if (m_.times)
                for (int d = 0; d < dim; ++d) x[d] += m_.times[at + d];
            if (m_.learned)
                for (int d = 0; d < dim; ++d) x[d] += m_.learned[at + d];
            if (b_.added)
                for (int d = 0; d < dim; ++d) x[d] += b_.added[(int64_t)(i / b_.count) * dim + d];
            normalise(m_.embedding_norm, x, x, dim);
        }
    }

    // A layer's keys (side 0) or values (1) of one row and group: [slots, C].
    Own *cached(int side, int layer, int row, int group) const {
        const int64_t plane = ((int64_t)side * m_.layer_count + layer) * b_.cache_rows + row;
        return (Own *)b_.cache + (plane * m_.kv_heads + group) * b_.cache_slots * own_step();
    }

    int64_t own_step() const { return Slot<Own>::step(m_.head_dim); }

    const Text *text(int side, int layer, int row, int group) const {
        const int64_t plane = ((int64_t)side * m_.layer_count + layer) * b_.cross_rows + row;
        return (const Text *)b_.cross + (plane * m_.cross_kv_heads + group) * b_.cross_slots * m_.head_dim;
    }

    void attend_own(const SpearLayer &now, int layer) {
        apply(now.qkv, entering(now.attention_norm), wide_, qkv_, wide_qkv_, kStore);
        team_.ranges(tokens_, 8, [&](int first, int end) {
            for (int i = first; i < end; ++i) place(i, layer);
        });
        each_group(m_.kv_heads, each_query(), [&](int row, int group, const Asked *asked, int count, float *room) {
            Query queries[kTogether];
            const int length = b_.lengths[row];
            for (int n = 0; n < count; ++n) {
                const int t = asked[n].token;
                float *scores = room + n * each_query();
                int32_t *own = (int32_t *)(scores + most_slots());
                const int32_t *above = ancestors_ + (int64_t)t * b_.count;
                for (int g = 0; g < generations_[t]; ++g) own[g] = length + above[g];
                queries[n] = query(row, asked[n], Seen{length, generations_[t], own}, scores);
                // The last place that a query sees is its own.
                if (m_.relative)
                    queries[n].added = m_.relative + (int64_t)(asked[n].head + 1) * m_.positions - queries[n].seen.count();
            }
            attend(queries, count, cached(0, layer, row, group), cached(1, layer, row, group), m_.head_dim);
        });
        apply(now.out, mixed_, wide_mixed_, x_, wide_, kAdd);
        leaving(now.attention_norm);
    }

    // Turn one token's queries in place and its keys into the cache, and store its values there.
    void place(int i, int layer) {
        const int width = m_.head_dim, row = i / b_.count, slot = b_.lengths[row] + i % b_.count;
        const float *turn = m_.rotary ? m_.rotary + (int64_t)position(i) * width : nullptr;
        float *q = qkv_ + i * wide_qkv_;
        for (int head = 0; head < m_.heads; ++head) rotate(q + head * width, turn, scale(), q + head * width, width);
        float *k = q + (int64_t)m_.heads * width, *v = k + (int64_t)m_.kv_heads * width;
        for (int group = 0; group < m_.kv_heads; ++group) {
            keep(k + group * width, turn, cached(0, layer, row, group) + slot * own_step());
            keep(v + group * width, nullptr, cached(1, layer, row, group) + slot * own_step());
        }
    }

    template <class KV>
    void keep(const float *x, const float *turn, KV *slot) const {
        rotate(x, turn, 1.0f, slot, m_.head_dim);
    }

    void keep(float *x, const float *turn, Byte *slot) const {
        rotate(x, turn, 1.0f, x, m_.head_dim);
        round_slot(x, m_.head_dim, slot);
    }

    void attend_text(const SpearLayer &now, int layer) {
        apply(now.query, entering(now.cross_norm), wide_, qkv_, wide_qkv_, kStore);
        each_group(m_.cross_kv_heads, each_query(), [&](int row, int group, const Asked *asked, int count, float *room) {
            Query queries[kTogether];
            for (int n = 0; n < count; ++n) {
                queries[n] = query(row, asked[n], Seen{b_.text[row], 0, nullptr}, room + n * each_query());
                float *q = (float *)queries[n].q;
                for (int c = 0; c < m_.head_dim; ++c) q[c] *= scale();
                if (b_.collected) collect(queries[n], text(0, layer, row, group), row, asked[n]);
            }
            attend(queries, count, text(0, layer, row, group), text(1, layer, row, group), m_.head_dim);
        });
        apply(now.cross_out, mixed_, wide_mixed_, x_, wide_, kAdd);
        leaving(now.cross_norm);
        attended_ += 1;
    }

    // What a query attends to in the text, without the null slots.
    void collect(const Query &query, const Text *keys, int row, Asked asked) {
        const int slots = b_.collected_slots, null = m_.null_slots;
        const int64_t at = (((int64_t)attended_ * b_.rows + row) * m_.heads + asked.head) * b_.count + asked.token;
        float *out = b_.collected + at * slots;
        score<Text, 1>(&query, keys, m_.head_dim);
        const float total = soften(query.scores, null, query.seen.count());
        for (int s = 0; s < slots; ++s) out[s] = s + null < query.seen.count() ? query.scores[s + null] / total : 0.0f;
    }

    int64_t most_slots() const { return padded(std::max(b_.cache_slots, b_.cross_slots)) + kPanel; }

    // Numbers that a query needs: its scores, and the slots of its own ancestors in the block.
    int64_t each_query() const { return most_slots() + b_.count; }

    const SpearBlock &b_;
    int attended_ = 0;
    int32_t *ancestors_ = nullptr, *generations_ = nullptr;
};

}  // namespace
}  // namespace spear

using namespace spear;

int32_t spear_forward(const SpearModel *model, const SpearBlock *block) {
    if (block->cache_precision == SPEAR_INT8) return Step<Byte, BFloat16>(*model, *block).run();
    if (block->cache_precision == SPEAR_BFLOAT16) return Step<BFloat16, BFloat16>(*model, *block).run();
    return Step<float, float>(*model, *block).run();
}

int32_t spear_logits(const SpearModel *model, const float *hidden, int64_t tokens, float *logits, int32_t threads) {
    const int dim = model->dim, vocab = model->output.outputs;
    const int64_t wide = padded(dim), said = padded(vocab);
    float *normed = activations.room((wide + said) * tokens);
    if (!normed) return SPEAR_NO_MEMORY;
    float *out = normed + wide * tokens;
    for (int64_t i = 0; i < tokens; ++i) normalise(model->final_norm, hidden + i * dim, normed + i * wide, dim);
    Team team(threads);
    if (!linear(team, model->output, normed, wide, (int)tokens, out, said, kStore)) return SPEAR_NO_MEMORY;
    for (int64_t i = 0; i < tokens; ++i) std::memcpy(logits + i * vocab, out + i * said, vocab * sizeof(float));
    return SPEAR_OK;
}
