// A text through the encoder, and on to the keys and values that every decoder layer reads of it.

#include "stack.h"
#include "step.h"

namespace spear {
namespace {

// One text is one row, encoded alone; all of it sees all of it, or what stands in front.
template <class KV>
class Encoding : Stack {
  public:
    Encoding(const SpearModel &encoder, const SpearText &text) : Stack(encoder, 1, text.count, text.threads), t_(text) {}

    int run() {
        if (t_.count > m_.positions) return SPEAR_BAD_POSITION;
        const int64_t side = (int64_t)m_.kv_heads * t_.count * m_.head_dim;
        wide_cross_ = padded(2 * (int64_t)t_.cross_kv_heads * m_.head_dim);
        keys_ = reserve(2 * side + wide_cross_ * tokens_);
        if (!keys_) return SPEAR_NO_MEMORY;
        values_ = keys_ + side, cross_ = values_ + side;
        for (int i = 0; i < tokens_; ++i)
            std::memcpy(x_ + i * wide_, t_.embedded + (int64_t)i * m_.dim, m_.dim * sizeof(float));
        for (int layer = 0; layer < m_.layer_count; ++layer) {
            attend_text(m_.layers[layer]);
            feed(m_.layers[layer]);
        }
        norm(m_.final_norm);
        if (m_.times)
            for (int i = 0; i < tokens_; ++i)
                for (int d = 0; d < m_.dim; ++d) normed_[i * wide_ + d] += m_.times[(int64_t)i * m_.dim + d];
        const Rows rows = rows_for(team_, t_.projections[0], normed_, wide_, tokens_);
        if (!rows.x) return SPEAR_NO_MEMORY;
        for (int layer = 0; layer < t_.layers; ++layer) project(layer, rows);
        return no_memory_.load() ? SPEAR_NO_MEMORY : SPEAR_OK;
    }

  private:
    void attend_text(const SpearLayer &now) {
        apply(now.qkv, entering(now.attention_norm), wide_, qkv_, wide_qkv_, kStore);
        team_.ranges(tokens_, 8, [&](int first, int end) {
            for (int i = first; i < end; ++i) place(i);
        });
        const int64_t slots = padded(t_.count) + kPanel, each = slots + kTogether;
        each_group(m_.kv_heads, each, [&](int row, int group, const Asked *asked, int count, float *room) {
            Query queries[kTogether];
            const int past = t_.causal ? asked[0].token + 1 : t_.count;
            for (int n = 0; n < count; ++n) {
                float *scores = room + n * each;
                int32_t *own = (int32_t *)(scores + slots);
                const int extra = t_.causal ? asked[n].token + 1 - past : 0;
                for (int e = 0; e < extra; ++e) own[e] = past + e;
                queries[n] = query(row, asked[n], Seen{past, extra, own}, scores);
                if (m_.relative)
                    queries[n].added = m_.relative + (int64_t)asked[n].head * (2 * m_.positions - 1) + m_.positions - 1 -
                                       asked[n].token;
            }
            const int64_t at = (int64_t)group * t_.count * m_.head_dim;
            attend(queries, count, keys_ + at, values_ + at, m_.head_dim);
        });
        apply(now.out, mixed_, wide_mixed_, x_, wide_, kAdd);
        leaving(now.attention_norm);
    }

    // Turn one token's queries in place, and put its keys and values beside those of the others.
    void place(int i) {
        const int width = m_.head_dim;
        const float *turn = m_.rotary ? m_.rotary + (int64_t)i * width : nullptr;
        float *q = qkv_ + i * wide_qkv_;
        for (int head = 0; head < m_.heads; ++head) rotate(q + head * width, turn, scale(), q + head * width, width);
        const float *k = q + (int64_t)m_.heads * width, *v = k + (int64_t)m_.kv_heads * width;
        for (int group = 0; group < m_.kv_heads; ++group) {
            const int64_t at = ((int64_t)group * t_.count + i) * width;
            rotate(k + group * width, turn, 1.0f, keys_ + at, width);
            std::memcpy(values_ + at, v + group * width, width * sizeof(float));
        }
    }

    // Keys and values of one decoder layer, behind its null slot.
    void project(int layer, const Rows &rows) {
        const SpearLinear &map = t_.projections[layer];
        each_piece(team_, panels_of(map), tokens_,
                   [&](int panel, int end) { linear(map, rows, panel, end, cross_, wide_cross_, kStore); });
        const int width = m_.head_dim, groups = t_.cross_kv_heads, null = t_.null ? 1 : 0, slots = t_.count + null;
        for (int side = 0; side < 2; ++side)
            for (int group = 0; group < groups; ++group) {
                KV *out = (KV *)t_.cross + (((int64_t)side * t_.layers + layer) * groups + group) * slots * width;
                const int64_t at = ((int64_t)side * groups + group) * width;
                const float *always = null ? t_.null + (int64_t)layer * 2 * groups * width + at : nullptr;
                for (int c = 0; null && c < width; ++c) narrow(always[c], out[c]);
                for (int i = 0; i < t_.count; ++i)
                    for (int c = 0; c < width; ++c) narrow(cross_[i * wide_cross_ + at + c], out[(null + i) * width + c]);
            }
    }

    const SpearText &t_;
    int64_t wide_cross_ = 0;
    float *keys_ = nullptr, *values_ = nullptr, *cross_ = nullptr;
};

}  // namespace
}  // namespace spear

using namespace spear;

int32_t spear_encode(const SpearModel *encoder, const SpearText *text) {
    if (text->precision == SPEAR_BFLOAT16) return Encoding<BFloat16>(*encoder, *text).run();
    return Encoding<float>(*encoder, *text).run();
}
