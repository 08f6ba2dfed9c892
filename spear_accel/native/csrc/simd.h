// Vectors of the widest registers that a build may use, and arithmetic whose every result is the same in every call.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace spear {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
constexpr int kAccumulators = 24;
constexpr int kRowBlock = 8;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
constexpr int kAccumulators = 12;
constexpr int kRowBlock = 6;
#elif defined(__aarch64__)
constexpr int kWidth = 4;
constexpr int kAccumulators = 24;
constexpr int kRowBlock = 6;
#else
constexpr int kWidth = 4;
constexpr int kAccumulators = 8;
constexpr int kRowBlock = 2;
#endif

typedef float Vec __attribute__((vector_size(kWidth * 4)));
typedef int32_t Ints __attribute__((vector_size(kWidth * 4)));
typedef uint32_t Words __attribute__((vector_size(kWidth * 4)));
typedef uint16_t Halves __attribute__((vector_size(kWidth * 2)));
typedef int8_t Bytes __attribute__((vector_size(kWidth)));

struct BFloat16 {
    uint16_t bits;
};

// Of a slot of keys or values rounded to eight bits: C of them, then the float32 that they are to be multiplied by.
struct Byte {
    int8_t bits;
};

static inline Vec splat(float x) { return x - Vec{}; }

static inline Vec load(const float *p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

static inline Vec load(const BFloat16 *p) {
#if defined(__AVX512F__)
    return (Vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#elif defined(__AVX2__)
    return (Vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
#else
    Halves h;
    std::memcpy(&h, p, sizeof h);
    return (Vec)(__builtin_convertvector(h, Words) << 16);
#endif
}

static inline Vec load(const Byte *p) {
#if defined(__AVX512F__)
    return (Vec)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif defined(__AVX2__)
    return (Vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
#else
    Bytes b;
    std::memcpy(&b, p, sizeof b);
    return __builtin_convertvector(b, Vec);
#endif
}

static inline void store(float *p, Vec v) { std::memcpy(p, &v, sizeof v); }

static inline float widen(float x) { return x; }

static inline float widen(BFloat16 x) {
    uint32_t bits = (uint32_t)x.bits << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

static inline float widen(Byte x) { return x.bits; }

static inline void narrow(float x, float &out) { out = x; }

static inline void narrow(float x, BFloat16 &out) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    // To the nearest, ties to even; a NaN stays one.
    out.bits = x != x ? 0x7FC0 : (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// a * b + c, rounded once where the processor can: contraction is off, so the compiler never decides by itself.
static inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// Sums of the lanes of four vectors, each by the same tree of additions.
static inline void sums(Vec a, Vec b, Vec c, Vec d, float *out) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
    const Vec wide[4] = {a, b, c, d};
    __m256 half[4];
    for (int i = 0; i < 4; ++i) {
        __m512d bits = _mm512_castps_pd((__m512)wide[i]);
        half[i] = _mm256_add_ps(_mm512_castps512_ps256((__m512)wide[i]),
                                _mm256_castpd_ps(_mm512_extractf64x4_pd(bits, 1)));
    }
#else
    const __m256 half[4] = {(__m256)a, (__m256)b, (__m256)c, (__m256)d};
#endif
    __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
#else
    const Vec all[4] = {a, b, c, d};
    for (int i = 0; i < 4; ++i) out[i] = (all[i][0] + all[i][1]) + (all[i][2] + all[i][3]);
#endif
}

static inline float sum(Vec a) {
    float out[4];
    sums(a, a, a, a, out);
    return out[0];
}

// e^x by 2^n times the Taylor polynomial of degree 7 on [-log(2) / 2, log(2) / 2]; NaN stays NaN.
static inline Vec exponential(Vec x) {
    const Vec low = splat(-87.0f), high = splat(88.0f);
    x = x < low ? low : x;
    x = x > high ? high : x;
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const Vec magic = splat(12582912.0f);
    Vec shifted = fma(x, splat(1.44269504f), magic), n = shifted - magic;
    // log(2) in two parts, so that n times the first is exact.
    Vec r = fma(n, splat(-0.693359375f), x);
    r = fma(n, splat(2.12194440e-4f), r);
    Vec p = splat(1.0f / 5040);
    p = fma(p, r, splat(1.0f / 720));
    p = fma(p, r, splat(1.0f / 120));
    p = fma(p, r, splat(1.0f / 24));
    p = fma(p, r, splat(1.0f / 6));
    p = fma(p, r, splat(0.5f));
    p = fma(p, r, splat(1.0f));
    p = fma(p, r, splat(1.0f));
    Words bits = ((Words)shifted - (Words)magic + 127u) << 23;
    return p * (Vec)bits;
}

}  // namespace spear
