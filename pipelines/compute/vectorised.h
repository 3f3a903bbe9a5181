/* What the compiled loops on a CPU share. A file that includes this names it under `depends` in pyproject.toml: without that a
   source distribution lacks it, and the extension, being optional, is left out without a word. */

#ifndef SCIML_VECTORISED_H
#define SCIML_VECTORISED_H

#include <stdint.h>
#include <string.h>

/* before a function: compiled for each of these processors, and chosen when the program is loaded */
#if defined(__GNUC__) && defined(__x86_64__) && defined(__linux__)
#define CLONES_FMA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES_FMA
#endif

/* e^x: 2^k (1 + r + ...) with |r| <= ln2/2, Cephes coefficients; relative error 2e-7, no branches so that loops vectorise */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 87.0f ? 87.0f : x;
    float k = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    float r = x - k * 0.693359375f + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)k + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

#endif
