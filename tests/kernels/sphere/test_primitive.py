import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere.primitive import linear_pair

forward, backward = linear_pair(
    "twice_matrix", lambda x, m, *, how: how * (m @ x), lambda x, m, *, how: how * (m.T @ x)
)
MATRIX = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
X = jnp.asarray(np.random.default_rng(1).normal(size=(4, 5)), jnp.float32)


def f(x):
    return forward(x, MATRIX, how=2)


def test_forward_reverse_and_their_composition():
    np.testing.assert_allclose(f(X), 2 * MATRIX @ X, rtol=1e-6)
    np.testing.assert_allclose(jax.jvp(f, (X,), (2 * X,))[1], 4 * MATRIX @ X, rtol=1e-6)
    square = lambda x: (f(x) ** 2).sum() / 2  # noqa: E731
    np.testing.assert_allclose(jax.grad(square)(X), 4 * MATRIX.T @ (MATRIX @ X), rtol=1e-5)
    product = jax.jvp(jax.grad(square), (X,), (X,))[1]
    np.testing.assert_allclose(product, jax.grad(square)(X), rtol=1e-5)
    np.testing.assert_allclose(jax.linear_transpose(f, X)(f(X))[0], 4 * MATRIX.T @ (MATRIX @ X), rtol=1e-5)


def test_a_mapped_axis_folds_into_the_columns():
    several = jnp.stack([X, 2 * X, 3 * X])
    jaxpr = jax.make_jaxpr(jax.vmap(f))(several)
    (call,) = [e for e in jaxpr.jaxpr.eqns if e.primitive.name == "twice_matrix"]
    assert call.invars[0].aval.shape == (4, 15)
    np.testing.assert_allclose(jax.vmap(f)(several)[2], 3 * f(X), rtol=1e-6)
    middle = jax.vmap(f, in_axes=1, out_axes=1)(jnp.moveaxis(several, 0, 1))
    np.testing.assert_allclose(middle[:, 1], 2 * f(X), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(lambda x: f(x).sum()))(several)[0], jax.grad(lambda x: f(x).sum())(X))


def test_scan_and_remat():
    step = jax.checkpoint(lambda x, _: (jnp.tanh(backward(f(x), MATRIX, how=1)), None))
    loss = lambda x: jax.lax.scan(step, x, None, length=4)[0].sum()  # noqa: E731
    direct = X
    for _ in range(4):
        direct = jnp.tanh(MATRIX.T @ (2 * MATRIX @ direct))
    np.testing.assert_allclose(jax.jit(loss)(X), direct.sum(), rtol=1e-4)
    assert np.isfinite(jax.jit(jax.grad(loss))(X)).all()
