/* Synthesis and its transpose on the eightfold-folded layout (equator, half turn, mirror), in one pass over memory (CPU).

   Columns are taken a few vectors at a time, so that what lies between the Legendre and the Fourier sum stays in cache, and
   the butterfly of the eight symmetry copies is done on registers. Sums over l' start at the diagonal of the triangle.
       y[j', b, m'] = sum over l' of P x,    f[b, r] = sum over m' of F y,    z[g, r, j'] = H f       b = (s, p, q)
   XLA custom calls with operands data, legendre, fourier and one attribute: 1 where the tables' last two axes are swapped.
   The sum over m' is dense. Fast Fourier transforms in its place (radix 4, a vector of columns at a time) halve the arithmetic, yet
   rows are then written from the end of a long computation. There and back in a loop they were 3 to 15 % slower at TL63, equal at
   TL127 and 15 % faster at TL255; an hour of NeuralGCM at TL63 took 3 % less: too little for as much code again.
   The mathematics and the axes are those of transform.py, which runs where this file could not be compiled; equality with
   the reference is tested in tests/kernels/sphere/test_compiled.py. */

#ifndef BODY
#define _GNU_SOURCE
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The part of XLA's foreign function interface that is used here, version 0 (its layout is stable within a version): with
   it, building needs no headers of jaxlib. */
typedef struct Extension {
    size_t size;
    int type;
    struct Extension *next;
} Extension;
typedef struct {
    size_t size;
    Extension *extension;
    int major, minor;
} Version;
typedef struct {
    size_t size;
    Version version;
    uint32_t traits;
    int64_t state;
} Metadata;
typedef struct {
    Extension base;
    Metadata *metadata;
} MetadataExtension;
typedef struct {
    size_t size;
    Extension *extension;
    int type;
    void *data;
    int64_t rank, *dims;
} Buffer;
typedef struct {
    size_t size;
    Extension *extension;
    int64_t count;
    int *types;
    Buffer **buffers;
} Buffers;
typedef struct {
    size_t size;
    Extension *extension;
    int64_t count;
    int *types;
    void **names;
    struct {
        int type;
        void *value;
    } **scalars;
} Attributes;
typedef struct {
    size_t size;
    Extension *extension;
    void *context;
    void (*task)(void *);
    void *data;
} Schedule;
typedef struct {
    size_t size;
    Extension *extension;
    void *context;
    int64_t *threads;
} Threads;
typedef struct {
    size_t size;
    Extension *extension;
    void *error;
} Destroy;
typedef struct {
    size_t size;
    Extension *extension;
    Version version;
    void *internal, *error_create, *error_message;
    void (*error_destroy)(Destroy *);
    void *others[8]; /* registration, streams, states, device memory */
    void *(*schedule)(Schedule *);
    void *(*threads)(Threads *);
} Api;
typedef struct {
    size_t size;
    Extension *extension;
    const Api *api;
    void *context;
    int stage;
    Buffers operands, results;
    Attributes attributes;
} Frame;

/* Before its first call XLA asks a handler for the version it was built for. */
static int answered(Frame *frame) {
    if (!frame->extension || frame->extension->type != 1) return 0;
    Metadata *metadata = ((MetadataExtension *)frame->extension)->metadata;
    metadata->version.major = 0;
    metadata->version.minor = frame->api && frame->api->version.major == 0 ? frame->api->version.minor : 1;
    metadata->traits = 0;
    metadata->state = 0;
    return 1;
}

typedef struct {
    long m, l, j, r, n, flipped;
} Shape;

typedef struct {
    const void *in, *legendre, *fourier;
    void *out;
    Shape shape;
    long width, chunks; /* columns of a chunk, number of chunks */
    long next, done, users; /* the next chunk to take, chunks that are done, threads that still look here */
    size_t scratch;
    void (*chunk)(const void *job, long first, void *scratch);
} Job;

/* Work arrays outlive the call: fresh pages of several MB would cost as much as the sums. */
enum { SLOTS = 16 };
static struct {
    void *memory;
    size_t size;
} kept[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *borrow(size_t size) {
    void *found = NULL, *old = NULL;
    pthread_mutex_lock(&lock);
    for (int k = 0; k < SLOTS && !found; k++)
        if (kept[k].memory && kept[k].size >= size) found = kept[k].memory, kept[k].memory = NULL;
    for (int k = 0; k < SLOTS && !found && !old; k++) old = kept[k].memory, kept[k].memory = NULL;
    pthread_mutex_unlock(&lock);
    free(old);
    if (!found && posix_memalign(&found, 128, size)) abort();
    return found;
}

static void give_back(void *memory, size_t size) {
    pthread_mutex_lock(&lock);
    for (int k = 0; k < SLOTS && memory; k++)
        if (!kept[k].memory) kept[k].memory = memory, kept[k].size = size, memory = NULL;
    pthread_mutex_unlock(&lock);
    free(memory);
}

static void work(void *argument) {
    Job *job = argument;
    void *scratch = NULL;
    for (long c; (c = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->chunks;) {
        if (!scratch) scratch = borrow(job->scratch);
        job->chunk(job, c * job->width, scratch);
        __atomic_fetch_add(&job->done, 1, __ATOMIC_RELEASE);
    }
    if (scratch) give_back(scratch, job->scratch);
    if (!__atomic_sub_fetch(&job->users, 1, __ATOMIC_ACQ_REL)) free(job);
}

static long processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) return CPU_COUNT(&set);
#endif
    return 1;
}

/* Threads of XLA's own pool, whose workers are awake while a program runs: new threads, or a pool of our own beside it,
   gained nothing on two cores. 1 where this version of the interface has none. */
static long pool_threads(const Frame *frame) {
    const Api *api = frame->api;
    int64_t threads = 1;
    if (!api || api->version.major != 0 || api->size < offsetof(Api, threads) + sizeof api->threads) return 1;
    Threads ask = {sizeof ask, NULL, frame->context, &threads};
    void *error = api->threads(&ask);
    if (error) api->error_destroy(&(Destroy){sizeof(Destroy), NULL, error});
    return error ? 1 : threads;
}

/* The caller takes chunks, too, and never waits for a thread that has not begun: a busy pool costs time, not an answer. */
static void run(const Job *wanted, const Frame *frame) {
    const Shape *s = &wanted->shape;
    double operations = 8.0 * s->m * s->j * (s->l + 2 * s->r) * s->n;
    long threads = operations < 4e6 ? 1 : pool_threads(frame), most = processors();
    if (threads > most) threads = most;
    if (threads > wanted->chunks) threads = wanted->chunks;
    Job *job = malloc(sizeof *job);
    if (!job) abort();
    *job = *wanted;
    job->users = threads + 1;
    for (long k = 1; k < threads; k++) {
        Schedule task = {sizeof task, NULL, frame->context, work, job};
        void *error = frame->api->schedule(&task);
        if (!error) continue;
        frame->api->error_destroy(&(Destroy){sizeof(Destroy), NULL, error});
        __atomic_fetch_sub(&job->users, 1, __ATOMIC_RELAXED);
    }
    work(job);
    while (__atomic_load_n(&job->done, __ATOMIC_ACQUIRE) < job->chunks) sched_yield();
    if (!__atomic_sub_fetch(&job->users, 1, __ATOMIC_ACQ_REL)) free(job);
}

#define GLUE_(a, b, c) a##_##b##_##c
#define GLUE(a, b, c) GLUE_(a, b, c)
#define NAME(function) GLUE(function, REAL, LEVEL)
/* Latitudes that are transformed along longitude together. Their rows are neighbours in memory, yet 2 or 4 of them are
   slower than 1 (TL127, 192 columns: 24 and 32 ms against 21 and 27): the work array no longer fits beside the rows read
   ahead. */
#define TOGETHER 1
#define INLINE static inline __attribute__((always_inline))

#define BODY
#define REAL float
#if defined(__x86_64__) && defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
#define LEVEL v4
#define VECTOR 64
#define ROWS 12
#include "_folded.c"
#undef REAL
#define REAL double
#include "_folded.c"
#undef REAL
#undef LEVEL
#undef VECTOR
#undef ROWS
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define REAL float
#define LEVEL v3
#define VECTOR 32
#define ROWS 6
#include "_folded.c"
#undef REAL
#define REAL double
#include "_folded.c"
#undef REAL
#undef LEVEL
#undef VECTOR
#undef ROWS
#pragma GCC pop_options
#define REAL float
#endif
#define LEVEL plain
#define VECTOR 16
#define ROWS 6
#include "_folded.c"
#undef REAL
#define REAL double
#include "_folded.c"
#undef REAL

#if defined(__x86_64__) && defined(__GNUC__)
#define PICK(function, real)                                                         \
    (__builtin_cpu_supports("x86-64-v4")   ? function##_##real##_v4                  \
     : __builtin_cpu_supports("x86-64-v3") ? function##_##real##_v3                  \
                                           : function##_##real##_plain)
#else
#define PICK(function, real) function##_##real##_plain
#endif

/* modal [s, p, q, m', l', n], nodal [g, r, j', n] */
static Job job_of(Frame *frame, Buffer *modal, Buffer *nodal) {
    Buffer **in = frame->operands.buffers, *out = frame->results.buffers[0];
    const int64_t *x = modal->dims, *z = nodal->dims;
    int32_t flipped = *(const int32_t *)frame->attributes.scalars[0]->value;
    return (Job){.in = in[0]->data, .legendre = in[1]->data, .fourier = in[2]->data, .out = out->data,
                 .shape = {x[3], x[4], z[2], z[1], x[5], flipped}};
}

#define TARGET(function, real, modal, nodal)                                         \
    static void *function##_##real(Frame *frame) {                                   \
        if (answered(frame)) return NULL;                                            \
        Buffer *in = frame->operands.buffers[0], *out = frame->results.buffers[0];   \
        Job job = job_of(frame, modal, nodal);                                       \
        PICK(prepare_##function, real)(&job);                                        \
        run(&job, frame);                                                                   \
        return NULL;                                                                 \
    }
TARGET(synthesis, float, in, out)
TARGET(synthesis, double, in, out)
TARGET(gather, float, out, in)
TARGET(gather, double, out, in)

static PyObject *targets(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return Py_BuildValue("{s:N,s:N,s:N,s:N}", "synthesis_float32", PyCapsule_New((void *)synthesis_float, NULL, NULL),
                         "synthesis_float64", PyCapsule_New((void *)synthesis_double, NULL, NULL), "gather_float32",
                         PyCapsule_New((void *)gather_float, NULL, NULL), "gather_float64",
                         PyCapsule_New((void *)gather_double, NULL, NULL));
}

static PyMethodDef methods[] = {{"targets", targets, METH_NOARGS, "Name to XLA custom call, as capsules."}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_folded", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__folded(void) { return PyModule_Create(&module); }

#else /* the body, once per number type and instruction set */

typedef REAL NAME(vec) __attribute__((vector_size(VECTOR), aligned(VECTOR), may_alias));
#define V NAME(vec)
#define LANES ((long)(VECTOR / sizeof(REAL)))

/* c[i] = sum over k of a[i, k] b[k] for `rows` rows of two vectors; all accumulators in registers */
#define BLOCK(count)                                                                                               \
    case count: {                                                                                                  \
        V u[count], v[count];                                                                                      \
        _Pragma("GCC unroll 12") for (int i = 0; i < count; i++) u[i] = v[i] = (V){0};                             \
        for (long k = 0; k < depth; k++) {                                                                         \
            V b0 = *(const V *)(b + k * width), b1 = *(const V *)(b + k * width + LANES);                          \
            _Pragma("GCC unroll 12") for (int i = 0; i < count; i++) {                                             \
                REAL s = a[i * row + k * column];                                                                  \
                u[i] += s * b0;                                                                                    \
                v[i] += s * b1;                                                                                    \
            }                                                                                                      \
        }                                                                                                          \
        _Pragma("GCC unroll 12") for (int i = 0; i < count; i++) {                                                 \
            *(V *)(c + i * step) = u[i];                                                                           \
            *(V *)(c + i * step + LANES) = v[i];                                                                   \
        }                                                                                                          \
    } break;

INLINE void NAME(block)(long rows, long depth, const REAL *a, long row, long column, const REAL *b, long width, REAL *c,
                        long step) {
    switch (rows) {
        BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4) BLOCK(5) BLOCK(6)
#if ROWS > 6
        BLOCK(7) BLOCK(8) BLOCK(9) BLOCK(10) BLOCK(11) BLOCK(12)
#endif
    }
}

/* The same for rows of one vector: twice the rows, for as many sums at a time */
#define SINGLE(count)                                                                                              \
    case count: {                                                                                                  \
        V u[count];                                                                                                \
        _Pragma("GCC unroll 12") for (int i = 0; i < count; i++) u[i] = (V){0};                                    \
        for (long k = 0; k < depth; k++) {                                                                         \
            V b0 = *(const V *)(b + k * width);                                                                    \
            _Pragma("GCC unroll 12") for (int i = 0; i < count; i++) u[i] += a[i * row + k * column] * b0;         \
        }                                                                                                          \
        _Pragma("GCC unroll 12") for (int i = 0; i < count; i++) *(V *)(c + i * step) = u[i];                      \
    } break;

INLINE void NAME(single)(long rows, long depth, const REAL *a, long row, long column, const REAL *b, long width, REAL *c,
                         long step) {
    switch (rows) {
        SINGLE(1) SINGLE(2) SINGLE(3) SINGLE(4) SINGLE(5) SINGLE(6)
        SINGLE(7) SINGLE(8) SINGLE(9) SINGLE(10) SINGLE(11) SINGLE(12)
    }
}

/* c = a b; a[rows, depth] with any strides, b[depth, width] and c[rows, step] with columns side by side */
static void NAME(product)(long rows, long depth, const REAL *a, long row, long column, const REAL *b, long width, REAL *c,
                          long step) {
    long pairs = width / (2 * LANES) * (2 * LANES), blocks = pairs ? (rows + ROWS - 1) / ROWS : 0;
    for (long k = 0, first = 0; k < blocks; k++) {
        long count = (rows - first) / (blocks - k); /* equal blocks: a short last one would leave registers idle */
        for (long w = 0; w < pairs; w += 2 * LANES)
            NAME(block)(count, depth, a + first * row, row, column, b + w, width, c + first * step + w, step);
        first += count;
    }
    blocks = pairs < width ? (rows + 11) / 12 : 0;
    for (long k = 0, first = 0; k < blocks; k++) {
        long count = (rows - first) / (blocks - k);
        NAME(single)(count, depth, a + first * row, row, column, b + pairs, width, c + first * step + pairs, step);
        first += count;
    }
}

INLINE void NAME(load)(REAL *to, const REAL *from, long live, long width) {
    if (live == width) {
        for (long w = 0; w < width; w++) to[w] = from[w];
    } else {
        for (long w = 0; w < live; w++) to[w] = from[w];
        for (long w = live; w < width; w++) to[w] = 0;
    }
}

INLINE void NAME(store)(REAL *to, const REAL *from, long live) {
    for (long w = 0; w < live; w++) to[w] = from[w];
}

INLINE long NAME(live)(const Job *job, long first) {
    return job->shape.n - first < job->width ? job->shape.n - first : job->width;
}

/* Rows of a chunk lie far apart, and no prefetcher of the processor sees where the next ones are: without these requests
   the sums wait for memory half of the time at 192 columns. */
INLINE void NAME(read_ahead)(const REAL *from, long live) {
    for (long w = 0; w < live; w += 64 / (long)sizeof(REAL)) __builtin_prefetch(from + w, 0, 2);
}

INLINE void NAME(write_ahead)(REAL *to, long live) {
    for (long w = 0; w < live; w += 64 / (long)sizeof(REAL)) __builtin_prefetch(to + w, 1, 2);
}

/* First l' of the triangle: l = 2 l' + p >= m = 2 m' + q */
INLINE long NAME(diagonal)(long b, long m, long l) {
    long start = m + ((b & 1) > ((b >> 1) & 1));
    return start < l ? start : l;
}

/* Eight classes b = (s, p, q), each `step` numbers after the last, to the symmetry copies g = (h, u, v), in place. */
INLINE void NAME(spread)(REAL *f, long numbers, long step) {
    for (REAL *at = f; at < f + numbers; at += LANES) {
        V e[2][2][2]; /* v, h, q */
        for (int q = 0; q < 2; q++) {
            V c0 = *(V *)(at + q * step), c1 = *(V *)(at + (2 + q) * step), s0 = *(V *)(at + (4 + q) * step),
              s1 = *(V *)(at + (6 + q) * step);
            V e0 = c0 + s0, e1 = c1 + s1, o0 = c0 - s0, o1 = c1 - s1;
            e[0][0][q] = e0 + e1, e[0][1][q] = e0 - e1, e[1][0][q] = o0 + o1, e[1][1][q] = o0 - o1;
        }
        _Pragma("GCC unroll 8") for (int g = 0; g < 8; g++) {
            V even = e[g & 1][g >> 2][0], odd = e[g & 1][g >> 2][1];
            *(V *)(at + g * step) = ((g >> 2) + (g >> 1)) & 1 ? even - odd : even + odd;
        }
    }
}

static void NAME(synthesis)(const void *argument, long first, void *scratch) {
    const Job *job = argument;
    const Shape s = job->shape;
    const long live = NAME(live)(job, first), width = (live + LANES - 1) / LANES * LANES; /* whole vectors */
    const long jump = 8 * s.m * width + 2 * LANES;
    const long row = s.flipped ? 1 : s.l, column = s.flipped ? s.j : 1;
    const long frow = s.flipped ? 1 : s.m, fcolumn = s.flipped ? s.r : 1;
    REAL *panel = scratch, *f = panel + s.l * width, *y = f + TOGETHER * 8 * ROWS * width;
    for (long m = 0; m < s.m; m++)
        for (long b = 0; b < 8; b++) {
            const REAL *x = (const REAL *)job->in + (b * s.m + m) * s.l * s.n + first;
            const REAL *p = (const REAL *)job->legendre + ((b & 3) * s.m + m) * s.j * s.l;
            long start = NAME(diagonal)(b, m, s.l), next = b < 7 ? s.m * s.l * s.n : (1 - 7 * s.m) * s.l * s.n;
            for (long l = start; l < s.l; l++) NAME(load)(panel + (l - start) * width, x + l * s.n, live, width);
            for (long l = start; l < s.l && (b < 7 || m + 1 < s.m); l++) NAME(read_ahead)(x + next + l * s.n, live);
            NAME(product)(s.j, s.l - start, p + start * column, row, column, panel, width, y + (b * s.m + m) * width, jump);
        }
    long blocks = (s.r + ROWS - 1) / ROWS;
    for (long j = 0; j < s.j; j += TOGETHER)
        for (long k = 0, r = 0, some = s.j - j < TOGETHER ? s.j - j : TOGETHER; k < blocks; k++) {
            long count = (s.r - r) / (blocks - k);
            const REAL *table = (const REAL *)job->fourier + r * frow;
            for (long c = 0; c < some; c++) {
                REAL *at = f + c * 8 * ROWS * width;
                for (long b = 0; b < 8; b++) {
                    for (long i = 0; i < count; i++)
                        NAME(write_ahead)((REAL *)job->out + ((b * s.r + r + i) * s.j + j + c) * s.n + first, live);
                    NAME(product)(count, s.m, table + (b & 5) * s.r * s.m, frow, fcolumn, y + (j + c) * jump + b * s.m * width,
                                  width, at + b * ROWS * width, width);
                }
                NAME(spread)(at, count * width, ROWS * width);
            }
            for (long g = 0; g < 8; g++)
                for (long i = 0; i < count; i++)
                    for (long c = 0; c < some; c++)
                        NAME(store)((REAL *)job->out + ((g * s.r + r + i) * s.j + j + c) * s.n + first,
                                    f + ((c * 8 + g) * ROWS + i) * width, live);
            r += count;
        }
}

/* Eight symmetry copies g = (h, u, v), each `step` numbers after the last, to classes b: the transpose of `spread`. */
INLINE void NAME(collect)(REAL *f, long numbers, long step) {
    for (REAL *at = f; at < f + numbers; at += LANES) {
        V e[2][2][2]; /* s, q, h */
        for (int h = 0; h < 2; h++) {
            V a = *(V *)(at + 4 * h * step), b = *(V *)(at + (4 * h + 1) * step), c = *(V *)(at + (4 * h + 2) * step),
              d = *(V *)(at + (4 * h + 3) * step);
            V even0 = a + b, even1 = c + d, odd0 = a - b, odd1 = c - d;
            e[0][0][h] = even0 + even1, e[0][1][h] = even0 - even1, e[1][0][h] = odd0 + odd1, e[1][1][h] = odd0 - odd1;
        }
        _Pragma("GCC unroll 8") for (int b = 0; b < 8; b++) {
            V north = e[b >> 2][b & 1][0], south = e[b >> 2][b & 1][1];
            *(V *)(at + b * step) = ((b >> 1) + b) & 1 ? north - south : north + south;
        }
    }
}

static void NAME(gather)(const void *argument, long first, void *scratch) {
    const Job *job = argument;
    const Shape s = job->shape;
    const long live = NAME(live)(job, first), width = (live + LANES - 1) / LANES * LANES; /* whole vectors */
    const long jump = 8 * s.m * width + 2 * LANES;
    const long row = s.flipped ? s.j : 1, column = s.flipped ? 1 : s.l;
    const long frow = s.flipped ? s.r : 1, fcolumn = s.flipped ? 1 : s.m;
    const long t = s.r * width;
    REAL *panel = scratch, *out = panel + s.j * width, *f = out + s.l * width, *y = f + TOGETHER * 8 * t;
    for (long j = 0; j < s.j; j += TOGETHER) {
        long some = s.j - j < TOGETHER ? s.j - j : TOGETHER;
        for (long g = 0; g < 8; g++)
            for (long r = 0; r < s.r; r++)
                for (long c = 0; c < some; c++)
                    NAME(load)(f + (c * 8 + g) * t + r * width,
                               (const REAL *)job->in + ((g * s.r + r) * s.j + j + c) * s.n + first, live, width);
        for (long c = 0; c < some; c++) {
            NAME(collect)(f + c * 8 * t, t, t);
            for (long b = 0; b < 8; b++) {
                for (long r = 0; r < s.r && j + TOGETHER + c < s.j; r++)
                    NAME(read_ahead)((const REAL *)job->in + ((b * s.r + r) * s.j + j + TOGETHER + c) * s.n + first, live);
                NAME(product)(s.m, s.r, (const REAL *)job->fourier + (b & 5) * s.r * s.m, frow, fcolumn, f + (c * 8 + b) * t,
                              width, y + (j + c) * jump + b * s.m * width, width);
            }
        }
    }
    for (long m = 0; m < s.m; m++)
        for (long b = 0; b < 8; b++) {
            REAL *x = (REAL *)job->out + (b * s.m + m) * s.l * s.n + first;
            const REAL *p = (const REAL *)job->legendre + ((b & 3) * s.m + m) * s.j * s.l;
            long start = NAME(diagonal)(b, m, s.l);
            for (long j = 0; j < s.j; j++) NAME(load)(panel + j * width, y + j * jump + (b * s.m + m) * width, width, width);
            for (long l = start; l < s.l; l++) NAME(write_ahead)(x + l * s.n, live);
            for (long l = 0; l < start; l++)
                for (long w = 0; w < live; w++) x[l * s.n + w] = 0;
            NAME(product)(s.l - start, s.j, p + start * row, row, column, panel, width, out, width);
            for (long l = start; l < s.l; l++) NAME(store)(x + l * s.n, out + (l - start) * width, live);
        }
}

/* Two vectors a row, but for the last chunk; twice that where there is work for all, as each table entry then serves more columns. */
static void NAME(widen)(Job *job) {
    job->width = 2 * LANES;
    if (job->shape.n >= 4 * LANES * processors()) job->width *= 2;
    job->chunks = (job->shape.n + job->width - 1) / job->width;
}

static void NAME(prepare_synthesis)(Job *job) {
    const Shape s = job->shape;
    NAME(widen)(job);
    job->chunk = NAME(synthesis);
    job->scratch = sizeof(REAL) * ((s.l + TOGETHER * 8 * ROWS) * job->width + s.j * (8 * s.m * job->width + 2 * LANES));
}

static void NAME(prepare_gather)(Job *job) {
    const Shape s = job->shape;
    NAME(widen)(job);
    job->chunk = NAME(gather);
    job->scratch = sizeof(REAL) * ((s.j + s.l + TOGETHER * 8 * s.r) * job->width + s.j * (8 * s.m * job->width + 2 * LANES));
}
#undef V
#undef LANES
#undef BLOCK
#undef SINGLE
#endif
