/* Regions above a threshold that sinks from the brightest pixel to zero: pixels join one by one, regions merge (float32 images, CPU).

   A labelling for every threshold costs a pass over the image each; here all thresholds share one (Tarjan 1975: disjoint sets, joined by
   size; Najman & Couprie 2006 for images). Pixels that touch at a side or a corner are neighbours. Equality with labels of each threshold
   is tested in tests/pipelines/galaxy/morphology/test_components.py. Pointers travel as integers; components.py keeps the arrays alive. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 11, BUCKETS = 1 << DIGITS };

typedef struct {
    uint32_t key; /* bits of a positive number, inverted: increasing keys are decreasing values */
    int32_t place;
} Pixel;

/* one image, framed by a line of pixels that never join */
typedef struct {
    long height, width, line;
    Pixel *pixels, *spare; /* those with light, brightest first */
    long count;
    int32_t *parent; /* of each place; -1: has not joined */
    int32_t *area;   /* of a root's region */
    double *light;   /* of a root's region */
    int32_t *roots;  /* places that have been roots; `n_roots` of them */
    long n_roots;
} Field;

static void sort(Field *f) {
    long start[BUCKETS + 1];
    for (int pass = 0; pass < 3; pass++) {
        int shift = pass * DIGITS;
        memset(start, 0, sizeof start);
        for (long k = 0; k < f->count; k++) start[((f->pixels[k].key >> shift) & (BUCKETS - 1)) + 1]++;
        for (int k = 0; k < BUCKETS; k++) start[k + 1] += start[k];
        for (long k = 0; k < f->count; k++) f->spare[start[(f->pixels[k].key >> shift) & (BUCKETS - 1)]++] = f->pixels[k];
        Pixel *sorted = f->spare;
        f->spare = f->pixels;
        f->pixels = sorted;
    }
}

static void begin(Field *f, const float *image) {
    f->count = f->n_roots = 0;
    memset(f->parent, -1, (size_t)(f->line * (f->height + 2)) * sizeof *f->parent);
    for (long i = 0; i < f->height; i++)
        for (long j = 0; j < f->width; j++) {
            float value = image[i * f->width + j];
            if (!(value > 0.0f)) continue;
            Pixel *p = f->pixels + f->count++;
            memcpy(&p->key, &value, sizeof value);
            p->key = ~p->key;
            p->place = (int32_t)((i + 1) * f->line + j + 1);
        }
    sort(f);
}

static float value_of(const Pixel *p) {
    uint32_t bits = ~p->key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int32_t root_of(int32_t *parent, int32_t place) {
    while (parent[place] != place) place = parent[place] = parent[parent[place]];
    return place;
}

static void join(Field *f, const Pixel *p) {
    const long steps[8] = {-f->line - 1, -f->line, -f->line + 1, -1, 1, f->line - 1, f->line, f->line + 1};
    int32_t own = p->place;
    f->parent[own] = own;
    f->area[own] = 1;
    f->light[own] = value_of(p);
    for (int k = 0; k < 8; k++) {
        if (f->parent[p->place + steps[k]] < 0) continue;
        int32_t other = root_of(f->parent, (int32_t)(p->place + steps[k]));
        if (other == own) continue;
        int32_t large = f->area[other] >= f->area[own] ? other : own, small = large == own ? other : own;
        f->parent[small] = large;
        f->area[large] += f->area[small];
        f->light[large] += f->light[small];
        own = large;
    }
    if (own == p->place) f->roots[f->n_roots++] = own; /* what has a neighbour is never the larger one at first */
}

/* out[r]: mean light of the region of the brightest pixel above the value of rank r, rank 0 the faintest of `number` pixels */
static void means(Field *f, long number, double *out) {
    long done = 0;
    double mean = 0.0;
    int32_t brightest = 0;
    for (long k = 0; k < f->count && f->pixels[k].key == f->pixels[0].key; k++)
        if (k == 0 || f->pixels[k].place < brightest) brightest = f->pixels[k].place;
    while (done < f->count) {
        long first = done;
        while (done < f->count && f->pixels[done].key == f->pixels[first].key) join(f, f->pixels + done++);
        int32_t root = root_of(f->parent, brightest);
        mean = f->light[root] / f->area[root];
        for (long k = first; k < done && k < number; k++) out[number - 1 - k] = mean;
    }
    for (long k = done; k < number; k++) out[number - 1 - k] = mean;
}

/* areas of the largest and the second largest region at or above each of `count` increasing levels */
static void two_largest(Field *f, const float *levels, long count, int64_t *first, int64_t *second) {
    long done = 0;
    for (long k = count - 1; k >= 0; k--) {
        while (done < f->count && value_of(f->pixels + done) >= levels[k]) join(f, f->pixels + done++);
        int64_t top = 0, next = 0;
        long kept = 0;
        for (long r = 0; r < f->n_roots; r++) {
            int32_t root = f->roots[r];
            if (f->parent[root] != root) continue;
            f->roots[kept++] = root;
            int64_t area = f->area[root];
            next = area > top ? top : area > next ? area : next;
            top = area > top ? area : top;
        }
        f->n_roots = kept;
        first[k] = top;
        second[k] = next;
    }
}

static void drop(Field *f) {
    void *all[] = {f->pixels, f->spare, f->parent, f->area, f->light, f->roots};
    for (int k = 0; k < 6; k++) free(all[k]);
}

/* 0, and nothing to drop, without memory */
static int make(Field *f, long height, long width) {
    size_t inner = (size_t)height * (size_t)width, whole = (size_t)(height + 2) * (size_t)(width + 2);
    *f = (Field){.height = height, .width = width, .line = width + 2};
    f->pixels = malloc((inner + 1) * sizeof *f->pixels);
    f->spare = malloc((inner + 1) * sizeof *f->spare);
    f->parent = malloc(whole * sizeof *f->parent);
    f->area = malloc(whole * sizeof *f->area);
    f->light = malloc(whole * sizeof *f->light);
    f->roots = malloc((inner + 1) * sizeof *f->roots);
    if (f->pixels && f->spare && f->parent && f->area && f->light && f->roots) return 1;
    drop(f);
    return 0;
}

static PyObject *py_means(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 7) return PyErr_Format(PyExc_TypeError, "means takes 7 numbers, got %zd", count);
    const float *image = PyLong_AsVoidPtr(a[0]);
    const int64_t *number = PyLong_AsVoidPtr(a[1]);
    double *out = PyLong_AsVoidPtr(a[2]);
    long n = PyLong_AsLong(a[3]), height = PyLong_AsLong(a[4]), width = PyLong_AsLong(a[5]), most = PyLong_AsLong(a[6]);
    if (PyErr_Occurred()) return NULL;
    Field f;
    if (!make(&f, height, width)) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS for (long i = 0; i < n; i++) {
        begin(&f, image + i * height * width);
        means(&f, (long)number[i], out + i * most);
    }
    Py_END_ALLOW_THREADS drop(&f);
    Py_RETURN_NONE;
}

static PyObject *py_two_largest(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 8) return PyErr_Format(PyExc_TypeError, "two_largest takes 8 numbers, got %zd", count);
    const float *image = PyLong_AsVoidPtr(a[0]), *levels = PyLong_AsVoidPtr(a[1]);
    int64_t *first = PyLong_AsVoidPtr(a[2]), *second = PyLong_AsVoidPtr(a[3]);
    long n = PyLong_AsLong(a[4]), height = PyLong_AsLong(a[5]), width = PyLong_AsLong(a[6]), each = PyLong_AsLong(a[7]);
    if (PyErr_Occurred()) return NULL;
    Field f;
    if (!make(&f, height, width)) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS for (long i = 0; i < n; i++) {
        begin(&f, image + i * height * width);
        two_largest(&f, levels + i * each, each, first + i * each, second + i * each);
    }
    Py_END_ALLOW_THREADS drop(&f);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"means", (PyCFunction)(void (*)(void))py_means, METH_FASTCALL, "image, number, out, n, height, width, most"},
    {"two_largest", (PyCFunction)(void (*)(void))py_two_largest, METH_FASTCALL,
     "image, levels, first, second, n, height, width, levels of each"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_regions", "Regions above sinking thresholds.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__regions(void) { return PyModule_Create(&module); }
