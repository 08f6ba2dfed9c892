// The native step: any slice of a decoder's layers for new tokens of every live row, in place on the decoder's state.
//
// Batch-invariant: every number of a (row, token) is computed by the same operations in the same order, whatever the
// other rows, the block, the tree and the number of threads are.

#include "step.h"

#include "arena.h"
#include "attention.h"
#include "linear.h"
#include "parts.h"
#include "pool.h"

namespace spear {
namespace {

// A head's query of one token of a block.
struct Asked {
    int head, token;
};

template <class KV>
class Step {
  public:
    Step(const SpearModel &model, const SpearBlock &block)
        : m_(model), b_(block), team_(block.threads), tokens_(block.rows * block.count) {}

    int run() {
        if (int fault = check()) return fault;
        if (!reserve()) return SPEAR_NO_MEMORY;
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

    bool reserve() {
        const int64_t mixed = (int64_t)m_.heads * m_.head_dim;
        wide_ = padded(m_.dim);
        wide_qkv_ = padded(mixed + 2 * (int64_t)m_.kv_heads * m_.head_dim);
        wide_mixed_ = padded(mixed);
        wide_inner_ = padded(m_.inner);
        const int64_t each = 2 * wide_ + wide_qkv_ + wide_mixed_ + 2 * wide_inner_;
        const int64_t listed = padded((int64_t)b_.count * b_.count + b_.count);
        float *base = activations.room(each * tokens_ + listed);
        if (!base) return false;
        x_ = base, base += wide_ * tokens_;
        normed_ = base, base += wide_ * tokens_;
        qkv_ = base, base += wide_qkv_ * tokens_;
        mixed_ = base, base += wide_mixed_ * tokens_;
        inner_ = base, base += wide_inner_ * tokens_;
        gate_ = base, base += wide_inner_ * tokens_;
        ancestors_ = (int32_t *)base, base += (int64_t)b_.count * b_.count;
        generations_ = (int32_t *)base;
        return true;
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
        }
    }

    void norm(const SpearNorm &norm) {
        team_.ranges(tokens_, 8, [&](int first, int end) {
            for (int i = first; i < end; ++i) normalise(norm, x_ + i * wide_, normed_ + i * wide_, m_.dim);
        });
    }

    void apply(const SpearLinear &map, const float *x, int64_t step, int count, float *y, int64_t stride, Finish finish) {
        if (!linear(team_, map, x, step, count, y, stride, finish)) no_memory_.store(true);
    }

    // A layer's keys (side 0) or values (1) of one row and group: [slots, C].
    KV *cached(int side, int layer, int row, int group) const {
        const int64_t plane = ((int64_t)side * m_.layer_count + layer) * b_.cache_rows + row;
        return (KV *)b_.cache + (plane * m_.kv_heads + group) * b_.cache_slots * m_.head_dim;
    }

    const KV *text(int side, int layer, int row, int group) const {
        const int64_t plane = ((int64_t)side * m_.layer_count + layer) * b_.cross_rows + row;
        return (const KV *)b_.cross + (plane * m_.cross_kv_heads + group) * b_.cross_slots * m_.head_dim;
    }

    void attend_own(const SpearLayer &now, int layer) {
        norm(now.attention_norm);
        apply(now.qkv, normed_, wide_, tokens_, qkv_, wide_qkv_, kStore);
        team_.ranges(tokens_, 8, [&](int first, int end) {
            for (int i = first; i < end; ++i) place(i, layer);
        });
        each_group(m_.kv_heads, [&](int row, int group, const Asked *asked, int count, float *room) {
            Query queries[kTogether];
            const int length = b_.lengths[row];
            for (int n = 0; n < count; ++n) {
                const int t = asked[n].token;
                float *scores = room + n * (most_slots() + b_.count);
                int32_t *own = (int32_t *)(scores + most_slots());
                const int32_t *above = ancestors_ + (int64_t)t * b_.count;
                for (int g = 0; g < generations_[t]; ++g) own[g] = length + above[g];
                queries[n] = query(row, asked[n], Seen{length, generations_[t], own}, scores);
            }
            attend(queries, count, cached(0, layer, row, group), cached(1, layer, row, group), m_.head_dim);
        });
        apply(now.out, mixed_, wide_mixed_, tokens_, x_, wide_, kAdd);
    }

    // Turn one token's queries in place and its keys into the cache, and store its values there.
    void place(int i, int layer) {
        const int width = m_.head_dim, row = i / b_.count, slot = b_.lengths[row] + i % b_.count;
        const float *turn = m_.rotary ? m_.rotary + (int64_t)position(i) * width : nullptr;
        float *q = qkv_ + i * wide_qkv_;
        for (int head = 0; head < m_.heads; ++head) rotate(q + head * width, turn, scale(), q + head * width, width);
        const float *k = q + (int64_t)m_.heads * width, *v = k + (int64_t)m_.kv_heads * width;
        for (int group = 0; group < m_.kv_heads; ++group) {
            rotate(k + group * width, turn, 1.0f, cached(0, layer, row, group) + (int64_t)slot * width, width);
            rotate(v + group * width, nullptr, 1.0f, cached(1, layer, row, group) + (int64_t)slot * width, width);
        }
    }

    float scale() const { return 1.0f / std::sqrt((float)m_.head_dim); }

    void attend_text(const SpearLayer &now, int layer) {
        norm(now.cross_norm);
        apply(now.query, normed_, wide_, tokens_, qkv_, wide_qkv_, kStore);
        each_group(m_.cross_kv_heads, [&](int row, int group, const Asked *asked, int count, float *room) {
            Query queries[kTogether];
            for (int n = 0; n < count; ++n) {
                queries[n] = query(row, asked[n], Seen{b_.text[row], 0, nullptr}, room + n * (most_slots() + b_.count));
                float *q = (float *)queries[n].q;
                for (int c = 0; c < m_.head_dim; ++c) q[c] *= scale();
                if (b_.collected) collect(queries[n], text(0, layer, row, group), row, asked[n]);
            }
            attend(queries, count, text(0, layer, row, group), text(1, layer, row, group), m_.head_dim);
        });
        apply(now.cross_out, mixed_, wide_mixed_, tokens_, x_, wide_, kAdd);
        attended_ += 1;
    }

    // What a query attends to in the text, without the null slots.
    void collect(const Query &query, const KV *keys, int row, Asked asked) {
        const int slots = b_.collected_slots, null = m_.null_slots;
        const int64_t at = (((int64_t)attended_ * b_.rows + row) * m_.heads + asked.head) * b_.count + asked.token;
        float *out = b_.collected + at * slots;
        score<KV, 1>(&query, keys, m_.head_dim);
        const float total = soften(query.scores, null, query.seen.count());
        for (int s = 0; s < slots; ++s) out[s] = s + null < query.seen.count() ? query.scores[s + null] / total : 0.0f;
    }

    Query query(int row, Asked asked, Seen seen, float *scores) const {
        const int64_t i = (int64_t)row * b_.count + asked.token, at = (int64_t)asked.head * m_.head_dim;
        return {qkv_ + i * wide_qkv_ + at, seen, scores, mixed_ + i * wide_mixed_ + at};
    }

    int64_t most_slots() const { return padded(std::max(b_.cache_slots, b_.cross_slots)) + kPanel; }

    // body(row, group, asked, count, room) for all queries, up to kTogether at a time that read the same keys.
    template <class F>
    void each_group(int groups, F &&body) {
        const int heads = m_.heads / groups, asking = heads * b_.count, tasks = b_.rows * groups;
        const int chunks = (asking + kTogether - 1) / kTogether;
        const int cuts = tasks >= 2 * team_.threads ? 1 : std::min(chunks, (2 * team_.threads + tasks - 1) / tasks);
        const int pieces = std::min(tasks * cuts, Pool::kMost);
        team_.each(pieces, [&](int piece) {
            float *room = scratch.room(kTogether * (most_slots() + b_.count));
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
        norm(now.feed_forward_norm);
        const Rows rows = rows_for(team_, now.expand, normed_, wide_, tokens_);
        if (!rows.x) return no_memory_.store(true);
        each_piece(team_, panels_of(now.expand), tokens_, [&](int panel, int end) {
            linear(now.expand, rows, panel, end, inner_, wide_inner_, kStore);
            const bool gated = now.gate.weights;
            if (gated) linear(now.gate, rows, panel, end, gate_, wide_inner_, kStore);
            for (int i = 0; i < tokens_; ++i) {
                float *inner = inner_ + i * wide_inner_;
                const float *gate = gate_ + i * wide_inner_;
                for (int at = panel * kPanel; at < end * kPanel; at += kWidth)
                    store(inner + at, gated ? gelu(load(gate + at)) * load(inner + at) : gelu(load(inner + at)));
            }
        });
        apply(now.contract, inner_, wide_inner_, tokens_, x_, wide_, kAdd);
    }

    const SpearModel &m_;
    const SpearBlock &b_;
    Team team_;
    const int tokens_;
    int attended_ = 0;
    std::atomic<bool> no_memory_{false};
    int64_t wide_ = 0, wide_qkv_ = 0, wide_mixed_ = 0, wide_inner_ = 0;
    float *x_ = nullptr, *normed_ = nullptr, *qkv_ = nullptr, *mixed_ = nullptr, *inner_ = nullptr, *gate_ = nullptr;
    int32_t *ancestors_ = nullptr, *generations_ = nullptr;
};

template <class T>
void pack(const float *weight, int64_t outputs, int64_t inputs, T *packed) {
    for (int64_t o = 0; o < padded(outputs); ++o)
        for (int64_t k = 0; k < inputs; ++k)
            narrow(o < outputs ? weight[o * inputs + k] : 0.0f, packed[(o / kPanel * inputs + k) * kPanel + o % kPanel]);
}

void pack_bytes(const float *weight, int64_t outputs, int64_t inputs, int8_t *packed, float *scale, int32_t *sums) {
    const int64_t width = rounded_width(inputs);
    for (int64_t o = 0; o < padded(outputs); ++o) {
        const float *own = weight + o * inputs;
        float most = 0.0f;
        for (int64_t k = 0; o < outputs && k < inputs; ++k) most = std::max(most, std::fabs(own[k]));
        scale[o] = most > 0.0f ? most / 127.0f : 1.0f;
        sums[o] = 0;
        for (int64_t k = 0; k < width; ++k) {
            const float value = o < outputs && k < inputs ? own[k] : 0.0f;
            const int8_t byte = (int8_t)std::nearbyint(value / scale[o]);
            packed[((o / kPanel * width + k / kDepth * kDepth) * kPanel) + o % kPanel * kDepth + k % kDepth] = byte;
            sums[o] += byte;
        }
    }
}

}  // namespace
}  // namespace spear

using namespace spear;

int32_t spear_interface(void) { return SPEAR_INTERFACE; }

int32_t spear_forward(const SpearModel *model, const SpearBlock *block) {
    if (block->cache_precision == SPEAR_BFLOAT16) return Step<BFloat16>(*model, *block).run();
    return Step<float>(*model, *block).run();
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

int64_t spear_packed_bytes(int64_t outputs, int64_t inputs, int32_t precision) {
    if (precision == SPEAR_INT8) return padded(outputs) * rounded_width(inputs);
    return padded(outputs) * inputs * (precision == SPEAR_BFLOAT16 ? 2 : 4);
}

void spear_pack(const float *weight, int64_t outputs, int64_t inputs, int32_t precision, void *packed, float *scale,
                int32_t *sums) {
    if (precision == SPEAR_INT8) pack_bytes(weight, outputs, inputs, (int8_t *)packed, scale, sums);
    else if (precision == SPEAR_BFLOAT16) pack(weight, outputs, inputs, (BFloat16 *)packed);
    else pack(weight, outputs, inputs, (float *)packed);
}

int32_t spear_supports(const char *kernel) {
    if (!std::strcmp(kernel, "portable")) return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!std::strcmp(kernel, "avx2")) return avx2;
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (!std::strcmp(kernel, "avx512")) return avx512;
    if (!std::strcmp(kernel, "avx512vnni")) return avx512 && __builtin_cpu_supports("avx512vnni");
#endif
    return 0;
}
