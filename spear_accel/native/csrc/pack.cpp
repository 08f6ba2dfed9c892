// Weights in the order that linear.h reads them, and what processor a build needs.

#include "linear.h"
#include "step.h"

namespace spear {
namespace {

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
