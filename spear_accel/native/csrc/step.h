// Plain C interface of the native step. Mirrored by spear_accel/native/structures.py; change both together.
//
// Shapes: B rows, T new tokens per row, D width, H heads, G key/value heads, C head width, V vocabulary, L layers,
// S slots of the cache, X slots of the text. All arrays are contiguous.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPEAR_API __attribute__((visibility("default")))

// Raised whenever anything in this file changes: a library that was built earlier is then not used.
#define SPEAR_INTERFACE 5

enum { SPEAR_FLOAT32 = 0, SPEAR_BFLOAT16 = 1, SPEAR_INT8 = 2 };
enum { SPEAR_OK = 0, SPEAR_BAD_TOKEN = 1, SPEAR_BAD_POSITION = 2, SPEAR_NO_MEMORY = 3 };

// y = W x + bias. weights: as `spear_pack` lays them out; bias, scale and sums: a multiple of 16 numbers, or NULL.
typedef struct {
    const void *weights;
    const float *bias;
    const float *scale;       // of each output, where the weights are int8
    const int32_t *sums;      // the weights of each output, added up: where they are int8
    int32_t inputs, outputs, precision, reserved;
} SpearLinear;

enum { SPEAR_RMS = 0, SPEAR_LAYER = 1, SPEAR_RMS_EPS = 2 };
enum { SPEAR_GELU = 0, SPEAR_GELU_TANH = 1, SPEAR_RELU = 2, SPEAR_SILU = 3 };

// RMS norm whose divisor is `eps` at least, layer norm, or RMS norm with `eps` under the root. bias may be NULL; without
// a gain there is no norm.
typedef struct {
    const float *gain;
    const float *bias;
    float eps;
    int32_t kind;
} SpearNorm;

// Its norms stand in front of the blocks, or behind them. gate.weights is NULL where the feed-forward is not gated; an encoder's layer has nothing of `cross`.
typedef struct {
    SpearNorm attention_norm, cross_norm, feed_forward_norm;
    SpearLinear qkv, out, query, cross_out, expand, gate, contract;
} SpearLayer;

// A decoder, or an encoder: that has neither embedding nor output, and adds `times` behind its final norm.
typedef struct {
    const SpearLayer *layers;
    const float *embedding;  // [vocab, D], the start vector included
    const float *rotary;     // [positions, C / 2, 2] cosine and sine, or NULL
    const float *times;      // [positions, D], or NULL
    const float *learned;    // [positions, D], or NULL
    // What scores of self-attention get added, or NULL. A decoder: [H, positions], the last for a token itself, the one
    // before for the token before it. An encoder: [H, 2 positions - 1], that of a token itself in the middle.
    const float *relative;
    SpearNorm final_norm, embedding_norm;
    SpearLinear output;
    float embedding_scale;
    int32_t layer_count, dim, heads, kv_heads, cross_kv_heads, head_dim, inner, vocab, positions, null_slots;
    int32_t post_norm, activation;
} SpearModel;

typedef struct {
    const int64_t *ids;       // [B, T], or NULL where `hidden` goes in
    const float *hidden;      // [B, T, D]
    float *left;              // [B, T, D], what leaves the last layer
    const float *added;       // [B, D], or NULL
    void *cache;              // [2, L, cache_rows, G, cache_slots, C]; in int8 C + 4 bytes, the last a float32 scale
    const void *cross;        // [2, L, cross_rows, G', cross_slots, C]; bfloat16 where the cache is int8
    const int32_t *lengths;   // [B]
    const int32_t *text;      // [B], visible slots of the text
    const int64_t *depths;    // [T], or NULL: a plain sequence
    const uint8_t *visible;   // [T, T]
    const uint8_t *skip_attention, *skip_feed;  // [L], or NULL
    float *collected;         // [layers that attend, B, H, T, collected_slots], or NULL
    int32_t rows, count, first, last, cache_rows, cache_slots, cross_rows, cross_slots, collected_slots;
    int32_t cache_precision, threads, reserved;
} SpearBlock;

// One text, and what L decoder layers will read of it.
typedef struct {
    const float *embedded;    // [X, D]
    void *cross;              // [2, L, G', null slots + X, C]
    const SpearLinear *projections;  // [L], 2 G' C outputs
    const float *null;        // [L, 2, G', C], or NULL: no null slot
    int32_t count, causal, layers, cross_kv_heads, precision, threads;
} SpearText;

// The recurrent draft head (heads/recurrent.py). `say` gives V logits, then H * C queries.
typedef struct {
    SpearNorm state_norm, norm;
    SpearLinear state, enter, leave, say;
    const float *token;       // [tokens, H * C + inner]
    int32_t dim, heads, groups, head_dim, inner, vocab, tokens, reserved;
} SpearRecurrent;

// n tokens of every row, each behind one of the m states that its row had before. A state is D numbers, the same normed,
// and H * C queries.
typedef struct {
    const int64_t *ids;       // [B, n]
    const int32_t *places;    // [n], of the state that each token is read behind, or NULL: each behind its own
    const float *before;      // [B, m, 2 D + H C]
    float *after;             // [B, n, 2 D + H C]
    float *logits;            // [B, n, V]
    const void *keys, *values;  // [cross_rows, G, cross_slots, C] of one layer
    const int32_t *text;      // [B], visible slots of the text
    int32_t rows, count, before_count, cross_rows, cross_slots, cache_precision, threads, reserved;
} SpearReading;

// The highest noisy scores of every position: logits / temperature + noise.
typedef struct {
    const float *logits;      // [B, n, V]
    const float *noise;       // of place 0 of row 0, V numbers; NULL: none
    const float *factors;     // [B], 1 / temperature
    const int32_t *places;    // [n], which noise of its row each position takes
    const uint8_t *banned;    // [B, n], whether `banned_token` may not be drawn; NULL: it may
    float *scores;            // [B, n, best]
    int64_t *tokens;          // [B, n, best]; the first is -1 where a logit is NaN
    int64_t noise_row, noise_place, banned_token;  // Numbers from one row's noise, and one place's, to the next.
    int32_t rows, count, vocab, best;              // best: how many are wanted
} SpearDraw;

SPEAR_API int32_t spear_interface(void);
SPEAR_API int32_t spear_forward(const SpearModel *model, const SpearBlock *block);
SPEAR_API int32_t spear_encode(const SpearModel *encoder, const SpearText *text);
// hidden [tokens, D] -> logits [tokens, output.outputs], behind the final norm.
SPEAR_API int32_t spear_logits(const SpearModel *model, const float *hidden, int64_t tokens, float *logits,
                               int32_t threads);
// The first states [tokens, 2 D + H C] from the decoder's hidden states [tokens, D].
SPEAR_API int32_t spear_recurrent_start(const SpearRecurrent *head, const float *hidden, int64_t tokens, float *states,
                                        int32_t threads);
SPEAR_API int32_t spear_recurrent_step(const SpearRecurrent *head, const SpearReading *reading);
SPEAR_API int32_t spear_draw(const SpearDraw *draw);
SPEAR_API int64_t spear_packed_bytes(int64_t outputs, int64_t inputs, int32_t precision);
// weight [outputs, inputs]; scale, sums: [outputs rounded up to 16], written where the precision is int8.
SPEAR_API void spear_pack(const float *weight, int64_t outputs, int64_t inputs, int32_t precision, void *packed,
                          float *scale, int32_t *sums);
// Whether this processor has what a build ("portable", "avx2", "avx512") needs.
SPEAR_API int32_t spear_supports(const char *kernel);

#ifdef __cplusplus
}
#endif
