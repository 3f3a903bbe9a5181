"""All light of a scene arrives on the pixels, where the scene puts it."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.simulator import matching, population, render, simulate
from sciml.pipelines.galaxy.simulator.population import PRE, PROJECTION

IDS = np.arange(32)
BANDS = ("g", "r")
SCALE = 0.8


@pytest.fixture(scope="module")
def objects():
    state = population.conditions(11, IDS)
    scene = population.scene(11, IDS, state)
    stars = population.numbers(11, IDS, "stars", matching.CANDIDATES * 24)
    target = matching.matched(stars, state.log_mass, state.redshift, state.light_offset, scene)
    companion = simulate._companions(11, IDS, state, scene)
    look = render.looks(population.numbers(11, IDS, "looks", 176), scene, state, target, companion, BANDS, SCALE)
    return scene, target, look


def picture(scene, look, row, size=256, margin=32) -> torch.Tensor:
    counts = (1024, 512) if scene.has_second[row] else (1024, 0)
    spectrum = render.picture(scene, look, np.array([row]), size, margin, counts)
    side = size + 2 * margin
    return torch.fft.irfft2(spectrum, s=(side, side))[0]


def test_light_is_conserved(objects):
    """Discs, bulges, nuclei and field objects; a few per cent fly beyond even a large picture."""
    scene, _, look = objects
    for row in (np.flatnonzero(scene.scenario == kind)[0] for kind in np.unique(scene.scenario)):
        seen = picture(scene, look, row).sum((1, 2)).numpy()
        whole = look.disc_flux[row].sum(0) + look.spot["flux"][row].sum(0)
        assert np.allclose(seen, whole, rtol=0.06)


def test_the_target_has_the_light_of_its_stars(objects):
    scene, target, look = objects
    own = matching.to_nanomaggies(target.light(target.stars.total, BANDS), target.redshift)
    nuclei = look.spot["owner"] < 2
    drawn = look.disc_flux.sum(1) + look.spot["flux"][:, nuclei].sum(1)
    single = ~scene.has_second | scene.is_remnant
    assert np.allclose(drawn[single], own[single])
    assert (drawn[~single] > own[~single]).all()  # and a companion beside it


def test_the_target_is_in_the_middle(objects):
    scene, _, look = objects
    row = np.flatnonzero(scene.scenario == 0)[0]
    image = picture(scene, look, row)[1].numpy()
    near = image[150:170, 150:170]  # the middle is 159.5
    y, x = np.mgrid[150:170, 150:170]
    centroid = (near * x).sum() / near.sum(), (near * y).sum() / near.sum()
    assert np.allclose(centroid, 159.5 + look.centre[row], atol=1.5)


def test_companions_stand_where_they_should(objects):
    scene, _, look = objects
    row = np.flatnonzero(scene.scenario == PROJECTION)[0]
    image = picture(scene, look, row)[1].numpy()
    x, y = np.round(159.5 + look.centre[row] + look.offset[row]).astype(int)
    assert image[y - 3 : y + 4, x - 3 : x + 4].max() > 5 * np.median(image)
    row = np.flatnonzero(scene.scenario == PRE)[0]
    _, now, centres = render.particles(scene, look, np.array([row]), (512, 512), "cpu")
    second = now[:, 0, 512:].T.numpy() - centres[0, 1]
    assert np.median(np.linalg.norm(second, axis=1)) < 1.0  # its stars are about its own centre
    assert np.allclose(np.linalg.norm(centres[0, 1] - centres[0, 0]), np.linalg.norm(scene.separation()[row]))


def test_remnants_are_one_galaxy(objects):
    scene, _, look = objects
    remnant = scene.is_remnant
    second = look.spot["owner"] == 1
    assert (look.spot["flux"][remnant][:, second] == 0).all()
    q = scene.drawn.mass_ratio[remnant]
    assert np.allclose(look.disc_flux[remnant, 2].sum(1), q * look.disc_flux[remnant, 0].sum(1))


def test_ellipses_keep_their_area():
    shape = render._shape(np.array([0.5]), np.array([0.7]))[0]
    assert shape[0] * shape[1] - shape[2] ** 2 == pytest.approx(1.0)
