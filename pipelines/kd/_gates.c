/* The pointwise part of an LSTM step, forward and backward, in one pass over memory (float32, CPU).

   Gate order i, f, g, o; n = hidden units x batch; every array is a contiguous block of n floats, `gate` of 4 n.
       forward    c = s(f) c' + s(i) tanh(g),  q = tanh(c),  h = s(o) q          activated gates are left in `gate`
       backward   d_gate, d_cell' from d_h = recurrent + external gradient of h and d_cell
   torch needs ten calls for this, 4 us each at these sizes; equality with them is tested in tests/pipelines/kd/test_recurrent.py.
   Pointers travel as integers; recurrent.py keeps the tensors alive. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "../compute/vectorised.h"

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

static inline float hyperbolic(float x) { return 2.0f / (1.0f + exponential(-2.0f * x)) - 1.0f; }

CLONES_FMA static void forward(float *restrict gate, const float *restrict before, float *restrict cell,
                               float *restrict squash, float *restrict state, long n) {
    for (long j = 0; j < n; j++) {
        float i = sigmoid(gate[j]), f = sigmoid(gate[n + j]), g = hyperbolic(gate[2 * n + j]), o = sigmoid(gate[3 * n + j]);
        float c = f * before[j] + i * g, q = hyperbolic(c);
        gate[j] = i;
        gate[n + j] = f;
        gate[2 * n + j] = g;
        gate[3 * n + j] = o;
        cell[j] = c;
        squash[j] = q;
        state[j] = o * q;
    }
}

CLONES_FMA static void backward(const float *restrict gate, const float *restrict before, const float *restrict squash,
                                const float *restrict recurrent, const float *restrict external, float *restrict d_cell,
                                float *restrict d_gate, long n) {
    for (long j = 0; j < n; j++) {
        float i = gate[j], f = gate[n + j], g = gate[2 * n + j], o = gate[3 * n + j], q = squash[j];
        float dh = recurrent[j] + external[j];
        float dc = d_cell[j] + dh * o * (1.0f - q * q);
        d_gate[j] = dc * g * i * (1.0f - i);
        d_gate[n + j] = dc * before[j] * f * (1.0f - f);
        d_gate[2 * n + j] = dc * i * (1.0f - g * g);
        d_gate[3 * n + j] = dh * q * o * (1.0f - o);
        d_cell[j] = dc * f;
    }
}

static float *pointer(PyObject *number) { return (float *)PyLong_AsVoidPtr(number); }

static PyObject *py_forward(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 6) return PyErr_Format(PyExc_TypeError, "forward takes 6 numbers, got %zd", count);
    float *p[5];
    for (int k = 0; k < 5; k++) p[k] = pointer(a[k]);
    long n = PyLong_AsLong(a[5]);
    if (PyErr_Occurred()) return NULL;
    forward(p[0], p[1], p[2], p[3], p[4], n);
    Py_RETURN_NONE;
}

static PyObject *py_backward(PyObject *self, PyObject *const *a, Py_ssize_t count) {
    (void)self;
    if (count != 8) return PyErr_Format(PyExc_TypeError, "backward takes 8 numbers, got %zd", count);
    float *p[7];
    for (int k = 0; k < 7; k++) p[k] = pointer(a[k]);
    long n = PyLong_AsLong(a[7]);
    if (PyErr_Occurred()) return NULL;
    backward(p[0], p[1], p[2], p[3], p[4], p[5], p[6], n);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"forward", (PyCFunction)(void (*)(void))py_forward, METH_FASTCALL, "gate, before, cell, squash, state, n"},
    {"backward", (PyCFunction)(void (*)(void))py_backward, METH_FASTCALL,
     "gate, before, squash, recurrent, external, d_cell, d_gate, n"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_gates", "Pointwise part of an LSTM step.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__gates(void) { return PyModule_Create(&module); }
