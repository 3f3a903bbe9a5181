/* Normal equations of single-Sersic fits, one pass over the pixels (float32 images, CPU, no PSF).

   What sersic._columns and sersic._normal define: seven weighted derivatives and the weighted residual of every pixel, and the 8 x 8
   sums of their products. torch writes some twenty arrays as large as the image; here they live as long as a row of it. Equality with
   torch is tested in tests/pipelines/galaxy/morphology/test_sersic.py. Pointers travel as integers; sersic.py keeps the arrays alive. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../compute/vectorised.h"

enum { LANES = 16, COLUMNS = 8 };

/* I_e, x, y, L11, L21, L22, 1 / n, b_n, d b_n / d log n */
typedef struct {
    float amplitude, x, y, first, second, third, per_n, b, slope;
} Model;

/* e^x, and nothing where that is below the normal numbers */
static inline float vanishing(float x) { return x < -87.0f ? 0.0f : exponential(x); }

/* natural logarithm of a positive normal number to 1e-7: 2 artanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)) */
static inline float logarithm(float x) {
    int32_t bits, shifted;
    memcpy(&bits, &x, sizeof bits);
    shifted = bits - 0x3f3504f3;
    float whole = (float)(shifted >> 23);
    bits = (shifted & 0x007fffff) + 0x3f3504f3;
    float m;
    memcpy(&m, &bits, sizeof m);
    float s = (m - 1.0f) / (m + 1.0f), t = s * s;
    float series = ((((1.0f / 9.0f) * t + 1.0f / 7.0f) * t + 0.2f) * t + 1.0f / 3.0f) * t;
    return whole * 0.693147181f + 2.0f * (s + s * series);
}

/* the eight columns c[k][.] of a row at line y: derivatives by the seven parameters and the residual, times the weight */
CLONES_FMA static void fill(const Model *given, const float *restrict x, float y, const float *restrict image, const float *restrict weight,
                            long count, float least, float *restrict c) {
    const Model local = *given, *m = &local; /* what is written is no model */
    float dy = y - m->y, v = m->third * dy, by_size = -m->b * m->per_n;
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep /* the eight columns do not overlap */
#endif
    for (long k = 0; k < count; k++) {
        float dx = x[k] - m->x, u = m->first * dx + m->second * dy, square = u * u + v * v;
        square = square < least ? least : square;
        float log_z = 0.5f * logarithm(square), power = vanishing(log_z * m->per_n);
        float shape = vanishing(m->b * (1.0f - power)), light = m->amplitude * shape;
        /* without light the rest is nothing, whatever the power of a large radius */
        power = shape > 0.0f ? power : 0.0f;
        float pull = light * power / square * by_size, pull_u = pull * u, pull_v = pull * v, w = weight[k];
        float by_n = power * (-log_z * by_size - m->slope) + m->slope;
        c[k] = shape * w;
        c[count + k] = -pull_u * m->first * w;
        c[2 * count + k] = (-pull_u * m->second - pull_v * m->third) * w;
        c[3 * count + k] = pull_u * dx * w;
        c[4 * count + k] = pull_u * dy * w;
        c[5 * count + k] = pull_v * dy * w;
        c[6 * count + k] = by_n * light * w;
        c[7 * count + k] = (image[k] - light) * w;
    }
}

/* sums += c c^T over a row whose length is a multiple of LANES */
CLONES_FMA static void products(const float *restrict c, long count, double sums[COLUMNS * COLUMNS]) {
    for (int i = 0; i < COLUMNS; i++) {
        float l0[LANES] = {0}, l1[LANES] = {0}, l2[LANES] = {0}, l3[LANES] = {0}, l4[LANES] = {0}, l5[LANES] = {0}, l6[LANES] = {0}, l7[LANES] = {0};
        const float *own = c + i * count;
        for (long t = 0; t < count; t += LANES)
            for (int l = 0; l < LANES; l++) {
                float w = own[t + l];
                const float *all = c + t + l;
                l0[l] += w * all[0];
                l1[l] += w * all[count];
                l2[l] += w * all[2 * count];
                l3[l] += w * all[3 * count];
                l4[l] += w * all[4 * count];
                l5[l] += w * all[5 * count];
                l6[l] += w * all[6 * count];
                l7[l] += w * all[7 * count];
            }
        const float *lanes[COLUMNS] = {l0, l1, l2, l3, l4, l5, l6, l7};
        for (int k = 0; k < COLUMNS; k++) {
            float total = 0.0f;
            for (int l = 0; l < LANES; l++) total += lanes[k][l];
            sums[COLUMNS * i + k] += total;
        }
    }
}

static PyObject *py_normal(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 13) return PyErr_Format(PyExc_TypeError, "normal takes 13 numbers, got %zd", count);
    const float *image = PyLong_AsVoidPtr(a[0]), *weight = PyLong_AsVoidPtr(a[1]);
    const float *x = PyLong_AsVoidPtr(a[2]), *y = PyLong_AsVoidPtr(a[3]);
    const double *model = PyLong_AsVoidPtr(a[4]);
    double *out = PyLong_AsVoidPtr(a[5]);
    long number = PyLong_AsLong(a[6]), height = PyLong_AsLong(a[7]), width = PyLong_AsLong(a[8]);
    long object = PyLong_AsLong(a[9]), line = PyLong_AsLong(a[10]), step = PyLong_AsLong(a[11]);
    double least = PyFloat_AsDouble(a[12]);
    if (PyErr_Occurred()) return NULL;
    long padded = (width + LANES - 1) / LANES * LANES;
    float *room = calloc((size_t)padded * (COLUMNS + 3), sizeof *room);
    if (!room) return PyErr_NoMemory();
    float *pixel = room + COLUMNS * padded, *own = pixel + padded, *place = own + padded;
    memcpy(place, x, (size_t)width * sizeof *x);
    Py_BEGIN_ALLOW_THREADS for (long i = 0; i < number; i++) {
        const double *p = model + 9 * i;
        Model m = {(float)p[0], (float)p[1], (float)p[2], (float)p[3], (float)p[4], (float)p[5], (float)p[6], (float)p[7], (float)p[8]};
        double *sums = out + COLUMNS * COLUMNS * i;
        memset(sums, 0, COLUMNS * COLUMNS * sizeof *sums);
        for (long row = 0; row < height; row++) {
            const float *image_row = image + i * object + row * line, *weight_row = weight + i * object + row * line;
            long begin = width, end = 0; /* pixels that count; behind the row there are none: `room` was cleared */
            for (long k = 0; k < width; k++) {
                pixel[k] = image_row[k * step];
                own[k] = weight_row[k * step];
                if (own[k] != 0.0f) {
                    begin = k < begin ? k : begin;
                    end = k + 1;
                }
            }
            if (begin >= end) continue;
            begin = begin / LANES * LANES;
            end = (end + LANES - 1) / LANES * LANES;
            fill(&m, place + begin, y[row], pixel + begin, own + begin, end - begin, (float)least, room);
            products(room, end - begin, sums);
        }
    }
    Py_END_ALLOW_THREADS free(room);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"normal", (PyCFunction)(void (*)(void))py_normal, METH_FASTCALL,
     "image, weight, x, y, model, out, number, height, width, object stride, row stride, column stride, least square"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_normal", "Normal equations of Sersic fits.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__normal(void) { return PyModule_Create(&module); }
