// Products of eight-bit numbers with sums in 32-bit integers, which are exact: no order of them changes a bit.
//
// Weights are int8. What they are multiplied by is rounded to eight bits as well, each row of activations with a scale of
// its own. A vector holds kDepth weights of each of kWidth outputs, which meet kDepth activations at once.
#pragma once

#include "simd.h"

namespace spear {

#if defined(__AVX512VNNI__) && defined(__AVX512F__)

constexpr int kDepth = 4;
// The instruction wants one side without a sign: 128 is added to it, and taken out again with the sums of the weights.
typedef uint8_t Rounded;
constexpr int kOffset = 128;
typedef __m512i ByteWeights;

static inline ByteWeights load_bytes(const int8_t *p) { return _mm512_loadu_si512(p); }
static inline Ints dot(Ints total, int32_t in, ByteWeights w) {
    return (Ints)_mm512_dpbusd_epi32((__m512i)total, _mm512_set1_epi32(in), w);
}

#else

constexpr int kDepth = 2;
typedef int16_t Rounded;
constexpr int kOffset = 0;

#if defined(__AVX512F__)
typedef __m512i ByteWeights;
static inline ByteWeights load_bytes(const int8_t *p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
}
static inline Ints dot(Ints total, int32_t in, ByteWeights w) {
    return total + (Ints)_mm512_madd_epi16(w, _mm512_set1_epi32(in));
}
#elif defined(__AVX2__)
typedef __m256i ByteWeights;
static inline ByteWeights load_bytes(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}
static inline Ints dot(Ints total, int32_t in, ByteWeights w) {
    return total + (Ints)_mm256_madd_epi16(w, _mm256_set1_epi32(in));
}
#elif defined(__SSE2__)
typedef __m128i ByteWeights;
static inline ByteWeights load_bytes(const int8_t *p) {
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
}
static inline Ints dot(Ints total, int32_t in, ByteWeights w) {
    return total + (Ints)_mm_madd_epi16(w, _mm_set1_epi32(in));
}
#elif defined(__aarch64__)
typedef int16x8_t ByteWeights;
static inline ByteWeights load_bytes(const int8_t *p) { return vmovl_s8(vld1_s8(p)); }
static inline Ints dot(Ints total, int32_t in, ByteWeights w) {
    const int16x8_t pair = vreinterpretq_s16_s32(vdupq_n_s32(in));
    const int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(pair));
    return total + (Ints)vpaddq_s32(low, vmull_high_s16(w, pair));
}
#else
struct ByteWeights {
    int8_t bytes[kWidth * kDepth];
};
static inline ByteWeights load_bytes(const int8_t *p) {
    ByteWeights w;
    std::memcpy(&w, p, sizeof w);
    return w;
}
static inline Ints dot(Ints total, int32_t in, const ByteWeights &w) {
    Rounded pair[kDepth];
    std::memcpy(pair, &in, sizeof in);
    for (int lane = 0; lane < kWidth; ++lane)
        for (int k = 0; k < kDepth; ++k) total[lane] += w.bytes[lane * kDepth + k] * pair[k];
    return total;
}
#endif
#endif

static inline int64_t rounded_width(int64_t inputs) { return (inputs + kDepth - 1) / kDepth * kDepth; }

// kDepth activations as one number, to be spread over a vector.
static inline int32_t spread(const Rounded *x) {
    int32_t together;
    std::memcpy(&together, x, sizeof together);
    return together;
}

// The largest magnitude of x [n]; NaN where one is infinite or no number.
static inline float largest_of(const float *x, int n) {
    Vec most{}, sum{};
    int i = 0;
    for (; i + kWidth <= n; i += kWidth) {
        const Vec v = load(x + i), size = v < Vec{} ? -v : v;
        most = size > most ? size : most;
        // Stays zero unless something is infinite or no number.
        sum = sum + (v - v);
    }
    float largest = 0.0f, spoilt = spear::sum(sum);
    for (int lane = 0; lane < kWidth; ++lane) largest = most[lane] > largest ? most[lane] : largest;
    for (; i < n; ++i) {
        const float size = std::fabs(x[i]);
        largest = size > largest ? size : largest;
        spoilt += x[i] - x[i];
    }
    return spoilt == 0.0f ? largest : NAN;
}

// x * factor as the nearest integers, ties to even: adding 1.5 * 2^23 leaves them in the lowest bits.
static inline Ints nearest(Vec x, float factor) {
    const Vec magic = splat(12582912.0f);
    return (Ints)(x * splat(factor) + magic) - (Ints)magic;
}

// x [n] -> integers of at most 127 [rounded_width(n)] and what to multiply them by. What is not finite makes that NaN.
static inline float round_row(const float *x, int n, Rounded *out) {
    const float largest = largest_of(x, n);
    const bool usable = largest > 0.0f;
    const float factor = usable ? 127.0f / largest : 0.0f;
    int i = 0;
    for (; usable && i + kWidth <= n; i += kWidth) {
        const Ints whole = nearest(load(x + i), factor) + kOffset;
        typedef Rounded Few __attribute__((vector_size(kWidth * sizeof(Rounded))));
        const Few few = __builtin_convertvector(whole, Few);
        std::memcpy(out + i, &few, sizeof few);
    }
    for (; i < n; ++i) out[i] = (Rounded)(usable ? (int)std::nearbyint(x[i] * factor) + kOffset : kOffset);
    for (; i < rounded_width(n); ++i) out[i] = kOffset;
    return largest / 127.0f;
}

// The same for a slot of a cache: x [n] -> n bytes and the float32 behind them.
static inline void round_slot(const float *x, int n, Byte *out) {
    const float largest = largest_of(x, n), scale = largest / 127.0f;
    const bool usable = largest > 0.0f;
    const float factor = usable ? 127.0f / largest : 0.0f;
    int i = 0;
    for (; usable && i + kWidth <= n; i += kWidth) {
        const Bytes few = __builtin_convertvector(nearest(load(x + i), factor), Bytes);
        std::memcpy(out + i, &few, sizeof few);
    }
    for (; i < n; ++i) out[i].bits = (int8_t)(usable ? (int)std::nearbyint(x[i] * factor) : 0);
    std::memcpy(out + n, &scale, sizeof scale);
}

}  // namespace spear
