import subprocess
import sys

import numpy as np
import pytest
import torch

from sciml.kernels.sphere import layout, reference
from sciml.kernels.sphere.grids import custom, latitudes, truncation
from sciml.kernels.sphere.transform_torch import analysis, from_standard, make_plan, synthesis, to_standard

LIMIT = {torch.float32: 5e-7, torch.float64: 1e-12}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def drawn(t, columns):
    inside = np.arange(t.total) >= np.arange(t.zonal)[:, None]
    x = np.random.default_rng(0).normal(size=(2, t.zonal, t.total, *columns)) * inside.reshape(
        *inside.shape, *[1] * len(columns)
    )
    x[1, 0] = 0.0
    return x


def relative(a, b):
    return np.linalg.norm(a.double().cpu().numpy() - b) / np.linalg.norm(b)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", sorted(LIMIT, key=str))
@pytest.mark.parametrize(
    ("t", "grid"), [(truncation("T21"), "gauss"), (truncation("TL63"), "gauss"), (custom(21), "equiangular"),
                    (custom(11), "gauss"), (custom(10), "gauss"), (truncation("T31"), "equiangular_with_poles")],
    ids=lambda a: getattr(a, "name", a),
)  # fmt: skip
def test_against_the_reference(t, grid, dtype, device):
    plan = make_plan(t, grid=grid, dtype=dtype, device=device)
    sin_lat, weights = latitudes(grid, t.nlat)
    x, f = drawn(t, (2, 3)), np.random.default_rng(1).normal(size=(t.nlon, t.nlat, 3))
    z = to_standard(plan, synthesis(plan, torch.as_tensor(layout.join(plan.geometry, x), device=device)))
    assert z.dtype == dtype and z.shape == (t.nlon, t.nlat, 2, 3)
    assert relative(z, reference.synthesis(x, t.nlon, sin_lat)) < LIMIT[dtype]
    y = analysis(plan, from_standard(plan, torch.as_tensor(f, device=device)))
    exact = layout.join(plan.geometry, reference.analysis(f, t.zonal, t.total, sin_lat, weights))
    assert relative(y, exact) < LIMIT[dtype]
    assert not y.cpu().numpy()[~plan.mask].any()


def test_gradients_are_the_transposes():
    plan = make_plan("T21", dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*plan.modal_shape, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    z = torch.randn(*plan.nodal_shape, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    (adjoint,) = torch.autograd.grad((synthesis(plan, x) * z.detach()).sum(), x)
    assert torch.isclose((adjoint * x).sum(), (synthesis(plan, x) * z).sum())
    (adjoint,) = torch.autograd.grad((analysis(plan, z) * x.detach()).sum(), z)
    assert torch.isclose((adjoint * z).sum(), (analysis(plan, z) * x).sum())


def test_a_training_step_and_a_mapped_call():
    plan = make_plan("T21")
    x = torch.zeros(*plan.modal_shape, 1, requires_grad=True)
    target = from_standard(plan, torch.cos(torch.linspace(0, 6, 64))[:, None, None] * torch.ones(64, 32, 1))
    before = None
    for _ in range(3):
        loss = ((synthesis(plan, x) - target) ** 2).mean()
        assert before is None or loss < before
        before = loss.detach()
        (gradient,) = torch.autograd.grad(loss, x)
        x = (x - gradient).detach().requires_grad_()
    members = torch.randn(3, *plan.modal_shape, 2)
    mapped = torch.func.vmap(lambda a: synthesis(plan, a))(members)
    torch.testing.assert_close(mapped[1], synthesis(plan, members[1]))


def test_what_is_refused():
    with pytest.raises(ValueError, match="accepted: torch.float32, torch.float64"):
        make_plan("T21", dtype=torch.float16)
    plan = make_plan("T21")
    with pytest.raises(ValueError, match="its leading axes must be"):
        synthesis(plan, torch.zeros(3, 4))
    with pytest.raises(ValueError, match="64 longitudes and 32 latitudes"):
        from_standard(plan, torch.zeros(32, 64))


def test_torch_users_do_not_load_jax():
    code = (
        "import sys, sciml.kernels.sphere.transform_torch, sciml.kernels.sphere.layout; assert 'jax' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
