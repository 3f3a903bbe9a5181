/* Sums of the rotational asymmetry about a trial centre, in one pass over the circle (float32, CPU).

   For every pixel of the circle of radius r about c = (x, y), with weight w = clamp(1/2 + (r^2 - d^2) / (2 r), 0, 1):
       area = sum w,  light = sum w |I|,  change = sum w |I_180 - I|,  I_180(p) = I(2 c - p) bilinear, zero outside
   A pixel does not count when it or its partner is masked or when it lies outside its stamp.
   torch needs fifteen calls and as many copies of the circle; equality with them is tested in
   tests/pipelines/galaxy/morphology/test_asymmetry.py.  Pointers travel as integers; asymmetry.py keeps the arrays alive. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../compute/vectorised.h"

enum { LANES = 16 };

typedef struct {
    const float *image;  /* [height, width] */
    const uint8_t *mask; /* the same, or NULL: nothing is masked */
    long height, width, ny, nx;
} Stamp;

typedef struct {
    float *column, *line, *partner, *weight, *pixel;
    const float *zeros; /* a row outside the stamp */
} Scratch;

/* to[k] = low[k] + part (high[k] - low[k]) */
CLONES_FMA static void between(const float *restrict low, const float *restrict high, float part, float *restrict to, long count) {
    for (long k = 0; k < count; k++) to[k] = low[k] + part * (high[k] - low[k]);
}

/* to[t] = line[count - 1 - t] + part (line[count - t] - line[count - 1 - t]) */
CLONES_FMA static void backwards(const float *restrict line, float part, float *restrict to, long count) {
    for (long t = 0; t < count; t++) to[t] = line[count - 1 - t] + part * (line[count - t] - line[count - 1 - t]);
}

/* partner[t] = I_180 at column first + t; `row`, `whole_x` and the parts place the partner of column 0 */
static void half_turn_row(const Stamp *s, const Scratch *b, long first, long count, long row, float part_y, long whole_x, float part_x) {
    const float *low = row >= 0 && row < s->height ? s->image + row * s->width : b->zeros;
    const float *high = row + 1 >= 0 && row + 1 < s->height ? s->image + (row + 1) * s->width : b->zeros;
    long from = whole_x - first - count + 1; /* column of line[0] */
    long start = from < 0 ? -from : 0, stop = s->width - from < count + 1 ? s->width - from : count + 1;
    if (start > count + 1) start = count + 1;
    if (stop < start) stop = start;
    for (long k = 0; k < start; k++) b->line[k] = 0.0f;
    between(low + from + start, high + from + start, part_y, b->line + start, stop - start);
    for (long k = stop; k <= count; k++) b->line[k] = 0.0f;
    backwards(b->line, part_x, b->partner, count);
}

static void drop_masked(const Stamp *s, float *weight, long first, long count, long y, long near_row, long near_x) {
    const uint8_t *own = s->mask + y * s->width;
    const uint8_t *other = near_row >= 0 && near_row < s->height ? s->mask + near_row * s->width : NULL;
    for (long t = 0; t < count; t++) {
        long j = near_x - first - t;
        if (own[first + t] || (other && j >= 0 && j < s->width && other[j])) weight[t] = 0.0f;
    }
}

CLONES_FMA static void add_row(const float *restrict weight, const float *restrict pixel, const float *restrict partner, long count,
                               float *restrict sums) {
    for (long t = 0; t < count; t += LANES)
        for (long k = 0; k < LANES; k++) {
            float w = weight[t + k], i = pixel[t + k];
            sums[k] += w;
            sums[LANES + k] += w * fabsf(i);
            sums[2 * LANES + k] += w * fabsf(partner[t + k] - i);
        }
}

/* out += the three sums of the row in `b` */
static void add_whole_row(const Scratch *b, long padded, double out[3]) {
    float sums[3 * LANES] = {0};
    add_row(b->weight, b->pixel, b->partner, padded, sums);
    for (int part = 0; part < 3; part++) {
        float total = 0.0f;
        for (int k = 0; k < LANES; k++) total += sums[part * LANES + k];
        out[part] += total;
    }
}

static void one(const Stamp *s, double x, double y, double radius, const Scratch *b, double out[3]) {
    double reach = sqrt(radius * radius + radius), scale = 0.5 / radius;
    long left = (long)fmax(0.0, ceil(x - reach)), right = (long)fmin((double)s->nx - 1, floor(x + reach));
    long top = (long)fmax(0.0, ceil(y - reach)), bottom = (long)fmin((double)s->ny - 1, floor(y + reach));
    long count = right - left + 1, padded = (count + LANES - 1) / LANES * LANES;
    double whole_x = floor(2 * x), whole_y = floor(2 * y);
    out[0] = out[1] = out[2] = 0.0;
    for (long t = 0; t < padded; t++) {
        double away = (double)(left + t) - x;
        b->column[t] = t < count ? (float)(away * away * scale) : 1e12f;
        b->partner[t] = b->pixel[t] = 0.0f;
    }
    for (long row = top; row <= bottom; row++) {
        float level = (float)(0.5 + 0.5 * radius - ((double)row - y) * ((double)row - y) * scale);
        const float *own = s->image + row * s->width + left;
        for (long t = 0; t < padded; t++) {
            float w = level - b->column[t];
            w = w < 0.0f ? 0.0f : w;
            b->weight[t] = w > 1.0f ? 1.0f : w;
        }
        for (long t = 0; t < count; t++) b->pixel[t] = own[t];
        half_turn_row(s, b, left, count, (long)whole_y - row, (float)(2 * y - whole_y), (long)whole_x, (float)(2 * x - whole_x));
        if (s->mask) drop_masked(s, b->weight, left, count, row, (long)floor(2 * y + 0.5) - row, (long)floor(2 * x + 0.5));
        add_whole_row(b, padded, out);
    }
}

/* the three sums under a weight map [height, width]; what it says of masked pixels and partners does not count */
static void under_weights(const Stamp *s, const float *weight, double x, double y, const Scratch *b, double out[3]) {
    long count = s->nx, padded = (count + LANES - 1) / LANES * LANES;
    double whole_x = floor(2 * x), whole_y = floor(2 * y);
    out[0] = out[1] = out[2] = 0.0;
    for (long t = 0; t < padded; t++) b->weight[t] = b->partner[t] = b->pixel[t] = 0.0f;
    for (long row = 0; row < s->ny; row++) {
        memcpy(b->weight, weight + row * s->width, (size_t)count * sizeof *weight);
        memcpy(b->pixel, s->image + row * s->width, (size_t)count * sizeof *weight);
        half_turn_row(s, b, 0, count, (long)whole_y - row, (float)(2 * y - whole_y), (long)whole_x, (float)(2 * x - whole_x));
        if (s->mask) drop_masked(s, b->weight, 0, count, row, (long)floor(2 * y + 0.5) - row, (long)floor(2 * x + 0.5));
        add_whole_row(b, padded, out);
    }
}

/* rows of zeros for images `width` wide; the memory they share, to be freed, or NULL */
static float *make(long width, Scratch *b) {
    size_t length = (size_t)width + 2 * LANES;
    float *room = calloc(6 * length, sizeof *room);
    if (room) *b = (Scratch){room, room + length, room + 2 * length, room + 3 * length, room + 4 * length, room + 5 * length};
    return room;
}

static PyObject *py_weighted(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 9) return PyErr_Format(PyExc_TypeError, "weighted takes 9 numbers, got %zd", count);
    const float *image = PyLong_AsVoidPtr(a[0]);
    const uint8_t *mask = PyLong_AsVoidPtr(a[1]);
    const int64_t *size = PyLong_AsVoidPtr(a[2]);
    const double *centre = PyLong_AsVoidPtr(a[3]);
    const float *weight = PyLong_AsVoidPtr(a[4]);
    double *out = PyLong_AsVoidPtr(a[5]);
    long height = PyLong_AsLong(a[6]), width = PyLong_AsLong(a[7]), number = PyLong_AsLong(a[8]);
    if (PyErr_Occurred()) return NULL;
    Scratch b;
    float *room = make(width, &b);
    if (!room) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS for (long i = 0; i < number; i++) {
        long at = i * height * width;
        Stamp s = {image + at, mask ? mask + at : NULL, height, width, (long)size[2 * i], (long)size[2 * i + 1]};
        under_weights(&s, weight + at, centre[2 * i], centre[2 * i + 1], &b, out + 3 * i);
    }
    Py_END_ALLOW_THREADS free(room);
    Py_RETURN_NONE;
}

static PyObject *py_sums(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 10) return PyErr_Format(PyExc_TypeError, "sums takes 10 numbers, got %zd", count);
    const float *image = PyLong_AsVoidPtr(a[0]);
    const uint8_t *mask = PyLong_AsVoidPtr(a[1]);
    const int64_t *size = PyLong_AsVoidPtr(a[2]), *which = PyLong_AsVoidPtr(a[3]);
    const double *centre = PyLong_AsVoidPtr(a[4]), *radius = PyLong_AsVoidPtr(a[5]);
    double *out = PyLong_AsVoidPtr(a[6]);
    long height = PyLong_AsLong(a[7]), width = PyLong_AsLong(a[8]), number = PyLong_AsLong(a[9]);
    if (PyErr_Occurred()) return NULL;
    Scratch b;
    float *room = make(width, &b);
    if (!room) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS for (long m = 0; m < number; m++) {
        int64_t i = which[m];
        Stamp s = {image + i * height * width, mask ? mask + i * height * width : NULL, height, width, (long)size[2 * i], (long)size[2 * i + 1]};
        one(&s, centre[2 * m], centre[2 * m + 1], radius[i], &b, out + 3 * m);
    }
    Py_END_ALLOW_THREADS free(room);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"sums", (PyCFunction)(void (*)(void))py_sums, METH_FASTCALL,
     "image, mask or 0, size, which, centre, radius, out, height, width, number"},
    {"weighted", (PyCFunction)(void (*)(void))py_weighted, METH_FASTCALL,
     "image, mask or 0, size, centre, weight, out, height, width, number"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_half_turn", "Sums of the rotational asymmetry.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__half_turn(void) { return PyModule_Create(&module); }
