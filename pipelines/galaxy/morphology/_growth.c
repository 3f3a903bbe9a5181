/* Curves of growth of a stack of images in families of ellipses, one pass over the pixels (float32 images, CPU).

   What apertures.growth defines: a pixel enters the sums between two values of the semi-major axis, linearly; so each pixel adds a ramp
   to the curves of flux and area, as a slope and a slope times an edge at each of its two ends. torch scatters eight arrays as large as
   the image; here the four numbers of a node lie side by side. Equality with torch is tested in
   tests/pipelines/galaxy/morphology/test_apertures.py. Pointers travel as integers; apertures.py keeps the arrays alive. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../compute/vectorised.h"

typedef struct {
    float x, y, cosine, sine, square; /* centre, orientation, elongation^2 */
} Ellipses;

typedef struct {
    float *axis, *gradient;
} Row;

typedef double Node[4]; /* flux slope, flux slope * edge, area slope, area slope * edge */

/* mean semi-major axis and its gradient for `count` cells of side `pixel` in line y, the first at x, `step` apart */
CLONES_FMA static void place(const Ellipses *e, float x, float y, float step, float pixel, long count, float *restrict axis,
                             float *restrict gradient) {
    float dy = y - e->y, least = 0.5f * pixel, bend = pixel * pixel / 24.0f;
    for (long k = 0; k < count; k++) {
        float dx = x + step * (float)k - e->x;
        float along = dx * e->cosine + dy * e->sine, across = dy * e->cosine - dx * e->sine;
        along = along * along;
        across = across * across * e->square;
        float g = sqrtf(along + across), steep = sqrtf(across * e->square + along);
        float safe = g < least ? least : g, m = steep / safe;
        m = m < 1.0f ? 1.0f : m;
        axis[k] = g + (1.0f + e->square - m * m) * bend / safe;
        gradient[k] = m;
    }
}

static inline void add(Node *curve, float edge, float per_step, long bins, double flux, double area) {
    float at = edge * per_step;
    long bin = !(at > 0.0f) ? 0 : at >= (float)(bins - 1) ? bins - 1 : (long)at;
    double *node = curve[bin], change[4] = {flux, flux * edge, area, area * edge};
    for (int k = 0; k < 4; k++) node[k] += change[k];
}

/* one cell: its ramp begins half a gradient before its mean axis and ends half a gradient behind */
static inline void deposit(Node *curve, float axis, float gradient, float pixel, float per_step, long bins, float value, int valid) {
    float half = 0.5f * pixel * gradient, slope = pixel / gradient;
    double flux = value * slope, area = valid ? slope : 0.0f;
    add(curve, axis - half, per_step, bins, flux, area);
    add(curve, axis + half, per_step, bins, -flux, -area);
}

static void one(const float *image, const uint8_t *valid, long height, long width, const double shape[4], double step, long core, long split,
                long bins, const Row *row, Node *curve, double *flux, double *area) {
    if (!(isfinite(shape[0]) && isfinite(shape[1]) && isfinite(step))) { /* no centre, no curve */
        for (long k = 0; k <= bins; k++) flux[k] = area[k] = NAN;
        return;
    }
    Ellipses e = {(float)shape[0], (float)shape[1], (float)cos(shape[3]), (float)sin(shape[3]), (float)(shape[2] * shape[2])};
    long middle_x = (long)floor(shape[0] + 0.5), middle_y = (long)floor(shape[1] + 0.5);
    float per_step = (float)(1.0 / step), cell = 1.0f / (float)split, first = 0.5f * cell - 0.5f;
    memset(curve, 0, (size_t)bins * sizeof *curve);
    for (long i = 0; i < height; i++) {
        const float *own = image + i * width;
        const uint8_t *known = valid + i * width;
        int near = labs(i - middle_y) <= core;
        long begin = 0, end = width;
        while (end > 0 && !known[end - 1] && own[end - 1] == 0.0f) end--;
        while (begin < end && !known[begin] && own[begin] == 0.0f) begin++;
        place(&e, (float)begin, (float)i, 1.0f, 1.0f, end - begin, row->axis, row->gradient);
        for (long j = begin; j < end; j++)
            if (!(near && labs(j - middle_x) <= core) && (own[j] != 0.0f || known[j]))
                deposit(curve, row->axis[j - begin], row->gradient[j - begin], 1.0f, per_step, bins, own[j], known[j]);
        if (!near) continue;
        for (long j = middle_x - core < 0 ? 0 : middle_x - core; j <= middle_x + core && j < width; j++)
            for (long line = 0; line < split; line++) {
                place(&e, (float)j + first, (float)i + first + (float)line * cell, cell, cell, split, row->axis, row->gradient);
                for (long k = 0; k < split; k++) deposit(curve, row->axis[k], row->gradient[k], cell, per_step, bins, own[j], known[j]);
            }
    }
    double sum[4] = {0.0};
    flux[0] = area[0] = 0.0;
    for (long k = 0; k < bins; k++) {
        double node = (double)(k + 1) * step;
        for (int part = 0; part < 4; part++) sum[part] += curve[k][part];
        flux[k + 1] = node * sum[0] - sum[1];
        area[k + 1] = node * sum[2] - sum[3];
    }
}

static PyObject *py_growth(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 12) return PyErr_Format(PyExc_TypeError, "growth takes 12 numbers, got %zd", count);
    const float *image = PyLong_AsVoidPtr(a[0]);
    const uint8_t *valid = PyLong_AsVoidPtr(a[1]);
    const double *shape = PyLong_AsVoidPtr(a[2]), *step = PyLong_AsVoidPtr(a[3]);
    double *flux = PyLong_AsVoidPtr(a[4]), *area = PyLong_AsVoidPtr(a[5]);
    long number = PyLong_AsLong(a[6]), height = PyLong_AsLong(a[7]), width = PyLong_AsLong(a[8]);
    long core = PyLong_AsLong(a[9]), split = PyLong_AsLong(a[10]), bins = PyLong_AsLong(a[11]);
    if (PyErr_Occurred()) return NULL;
    size_t length = (size_t)(width > split ? width : split);
    float *room = malloc(2 * length * sizeof *room);
    Node *curve = malloc((size_t)bins * sizeof *curve);
    if (!room || !curve) {
        free(room);
        free(curve);
        return PyErr_NoMemory();
    }
    Row row = {room, room + length};
    Py_BEGIN_ALLOW_THREADS for (long m = 0; m < number; m++) {
        long at = m * height * width, out = m * (bins + 1);
        one(image + at, valid + at, height, width, shape + 4 * m, step[m], core, split, bins, &row, curve, flux + out, area + out);
    }
    Py_END_ALLOW_THREADS free(room);
    free(curve);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"growth", (PyCFunction)(void (*)(void))py_growth, METH_FASTCALL,
     "image, valid, shape, step, flux, area, number, height, width, core, split, bins"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_growth", "Curves of growth.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__growth(void) { return PyModule_Create(&module); }
