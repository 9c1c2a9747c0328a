from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.noise import GeneratorNoise, KeyedNoise, Noise
from framework.core.space import Space
from framework.core.structures import Prediction, Slots
from framework.diffusion import add_noise, ddim_step, dpmpp_2m_step
from framework.errors import RecipeError, UserError
from framework.samplers import PARTS, Gaussian, GaussianOptions
from framework.testing import check_sampler, tiny
from framework.testing.toys import ToyCells, ToyCellsOptions, ToySpans, ToySpansOptions

TARGET = ToyCells(ToyCellsOptions(lengths=8))


def gaussian(**options: object) -> Gaussian:
    return Gaussian(GaussianOptions(**options))  # type: ignore[arg-type]


def slots_of(rows: int = 1, size: int = 4) -> Slots:
    mask = torch.ones(rows, size, dtype=torch.bool)
    return Slots(mask, torch.zeros_like(mask, dtype=torch.long), None, ((size,),))


def keyed(rows: int = 1) -> KeyedNoise:
    return KeyedNoise(0, torch.arange(rows))


def drawn_times(count: int, **options: object) -> Tensor:
    x0 = torch.zeros(count, 1, 1)
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    return gaussian(**options).corrupt(x0, slots_of(count, 1), noise)[1]


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 1},
        {"steps": 4},
        {"steps": 3, "eta": 0.5},
        {"steps": 5, "eta": 1.0},
        {"steps": 3, "solver": "ddpm"},
        {"steps": 4, "solver": "dpmpp_2m"},
        {"steps": 3, "spacing": "peer", "schedule": "linear"},
        {"steps": 2, "spacing": "leading", "schedule": "scaled_linear"},
        {"steps": 50, "timesteps": 50, "spacing": "linspace", "temperature": 0.0},
        {"steps": 2, "time_per": "batch", "time_power": 0.5, "loss_weight": "snr_capped"},
    ],
)
def test_the_gaussian_process_keeps_every_law_of_samplers(options: dict[str, object]) -> None:
    check_sampler(gaussian(**options), examples=4)


def test_the_gaussian_process_keeps_the_laws_with_two_channels_and_clipping() -> None:
    check_sampler(gaussian(steps=3, eta=1.0), target=ToySpans(ToySpansOptions()), examples=4)


# The walk as a whole, against values worked out by independent code in float64: x_T below, signal units, cosine,
# T = 1000, trailing, f(x, t) = tanh(x) / 2 + cos(t / 300) / 10, noise of step k alternating in sign.
START = [-1.5, -0.3, 0.2, 1.1]
GOLDEN: list[tuple[dict[str, object], list[float]]] = [
    ({"steps": 1}, [-0.550804504, -0.243886684, 0.000457282, 0.302019133]),
    ({"steps": 5}, [-0.28299434, -0.05732959, 0.13827712, 0.37868980]),
    ({"steps": 10}, [-0.17453453, 0.01615364, 0.16507165, 0.34587244]),
    ({"steps": 2, "solver": "dpmpp_2m"}, [-0.45750289, -0.19268109, 0.06158534, 0.37046491]),
    ({"steps": 5, "solver": "dpmpp_2m"}, [-0.27483691, -0.04429287, 0.14876031, 0.38328269]),
    ({"steps": 10, "solver": "dpmpp_2m"}, [-0.15864216, 0.03499533, 0.17525905, 0.34571204]),
    ({"steps": 5, "eta": 1.0}, [0.04550624, 0.08062311, 0.03484640, 0.08516825]),
    ({"steps": 10, "eta": 1.0}, [0.13758354, 0.09481912, 0.17820783, 0.12420886]),
    ({"steps": 10, "solver": "ddpm"}, [0.13758354, 0.09481912, 0.17820783, 0.12420886]),
]


class WrittenNoise(Noise):
    """The starting state above, then numbers of alternating sign."""

    def __init__(self) -> None:
        self.calls = 0

    def normal(self, slots: Slots, channels: int) -> Tensor:
        self.calls += 1
        later = [(-1) ** self.calls * value for value in (0.3, -0.7, 1.2, -0.1)]
        return torch.tensor(START if self.calls == 1 else later).reshape(1, 4, 1)

    def uniform(self, rows: int) -> Tensor:
        raise AssertionError("sampling draws no times")


def toy_network(space: Space) -> Callable[..., Prediction]:
    def network(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
        index = (999 * t).round()[:, None, None]
        return Prediction(space.natural(0.5 * torch.tanh(x_t) + 0.1 * torch.cos(index / 300)))

    return network


@pytest.mark.parametrize(("options", "expected"), GOLDEN)
def test_a_walk_ends_at_the_golden_values(options: dict[str, object], expected: list[float]) -> None:
    answers = gaussian(**options).sample(toy_network(TARGET.space), slots_of(), TARGET, WrittenNoise())
    assert len(answers) == options["steps"]
    assert TARGET.space.signal(answers[-1].x0).flatten().tolist() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m"])
def test_the_state_stays_on_its_noising_path_when_the_denoiser_is_perfect(solver: str) -> None:
    sampler, slots, x0 = gaussian(steps=5, solver=solver), slots_of(), torch.tensor([0.1, 0.4, 0.7, 1.0])[None, :, None]
    states: list[tuple[Tensor, Tensor]] = []

    def perfect(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
        states.append((x_t, t))
        return Prediction(x0)

    sampler.sample(perfect, slots, TARGET, keyed())
    signal = TARGET.space.signal(x0)
    first, last = sampler.alphas_cumprod[999], None
    noise = (states[0][0].double() - first.sqrt() * signal) / (1 - first).sqrt()
    for x_t, t in states:
        last = x_t
        index = int((999 * t).round())
        assert torch.allclose(x_t.double(), add_noise(signal.double(), noise, sampler.alphas_cumprod[index]), atol=1e-5)
    assert last is not None
    assert float((last - signal).abs().max()) < float((states[0][0] - signal).abs().max())


def test_an_overshooting_network_is_clamped_before_its_answer_enters_the_state() -> None:
    def states(value: float) -> list[Tensor]:
        seen: list[Tensor] = []

        def network(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
            seen.append(x_t)
            return Prediction(torch.full_like(x_t, value))

        result = gaussian(steps=4).sample(network, slots_of(), TARGET, keyed())
        assert bool((result[-1].x0 == value).all())
        return seen

    for overshot, edge in zip(states(7.0), states(1.0), strict=True):
        assert torch.equal(overshot, edge)


def test_refine_is_called_between_steps_with_the_state_and_the_answer() -> None:
    calls: list[tuple[Tensor, Prediction]] = []

    class Refining(ToyCells):
        def refine(self, x: Tensor, pred: Prediction, slots: Slots, noise: Noise) -> Tensor:
            calls.append((x, pred))
            return x + 1

    target, seen = Refining(ToyCellsOptions()), []

    def network(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
        seen.append(x_t)
        return Prediction(torch.zeros_like(x_t))

    answers = gaussian(steps=3).sample(network, slots_of(), target, keyed())
    assert [pred for _, pred in calls] == answers[:-1]
    assert all(torch.equal(after, x + 1) for (x, _), after in zip(calls, seen[1:], strict=True))


def test_the_multistep_solver_forgets_the_past_of_renewed_slots_and_of_no_others() -> None:
    sampler, slots = gaussian(steps=4, solver="dpmpp_2m"), slots_of()
    renewed = torch.tensor([True, False, False, True])[None, :, None]

    class Renewing(ToyCells):
        def refine(self, x: Tensor, pred: Prediction, slots: Slots, noise: Noise) -> Tensor:
            return torch.where(renewed, 0.5, x)

    def states(target: ToyCells) -> list[Tensor]:
        seen: list[Tensor] = []
        network = toy_network(target.space)

        def recording(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
            seen.append(x_t)
            return network(x_t, t)

        sampler.sample(recording, slots, target, keyed())
        return seen

    unstepped: list[Tensor] = []

    class Watching(Renewing):
        def refine(self, x: Tensor, pred: Prediction, slots: Slots, noise: Noise) -> Tensor:
            unstepped.append(x)
            return super().refine(x, pred, slots, noise)

    plain, mixed = states(TARGET), states(Watching(ToyCellsOptions()))
    kept = ~renewed.expand_as(plain[0])
    assert all(torch.equal(a[kept], b[kept]) for a, b in zip(plain, mixed, strict=True))
    # The second step of a renewed slot is of first order, as DDIM would take it from the new state.
    (now, after), alphas = sampler.pairs[1], sampler.alphas_cumprod
    network = toy_network(TARGET.space)
    t = torch.full((1,), now / 999)
    x0 = TARGET.space.signal(network(mixed[1], t).x0)
    first_order = ddim_step(mixed[1], x0, alphas[now], alphas[after])
    past = TARGET.space.signal(network(mixed[0], torch.ones(1)).x0)
    second_order = dpmpp_2m_step(mixed[1], x0, alphas[now], alphas[after], past, alphas[999])
    assert torch.allclose(unstepped[1][~kept], first_order[~kept])
    assert torch.allclose(unstepped[1][kept], second_order[kept])
    assert not torch.allclose(first_order, second_order, atol=1e-3)


def test_temperature_scales_the_starting_state_and_nothing_else() -> None:
    def draws(temperature: float) -> tuple[Tensor, Tensor]:
        noise = keyed()
        x, _ = gaussian(temperature=temperature).start(slots_of(), 1, noise)
        return x, noise.normal(slots_of(), 1)

    (one, later), (half, as_late), (cold, late_too) = draws(1.0), draws(0.5), draws(0.0)
    assert torch.equal(one / 2, half)
    assert torch.equal(cold, torch.zeros_like(cold))
    assert torch.equal(later, as_late)
    assert torch.equal(later, late_too)


def test_sampling_starts_at_the_first_timestep_of_its_grid() -> None:
    assert gaussian(steps=5).start(slots_of(2), 1, keyed(2))[1].tolist() == [1.0, 1.0]
    leading = gaussian(steps=5, spacing="leading").start(slots_of(2), 1, keyed(2))[1]
    assert leading.tolist() == pytest.approx([800 / 999] * 2)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 1000), st.integers(0, 10**6))
def test_corrupt_at_the_time_of_a_timestep_uses_that_timestep(timesteps: int, place: int) -> None:
    index = place % timesteps
    sampler = gaussian(timesteps=timesteps, steps=1)
    x0 = torch.tensor([-1.0, -0.5, 0.5, 1.0])[None, :, None]
    x_t, t, weight = sampler.corrupt(x0, slots_of(), keyed(), torch.tensor([index / (timesteps - 1)]))
    expected = add_noise(x0, keyed().normal(slots_of(), 1), sampler.alphas_cumprod[index])
    assert torch.allclose(x_t, expected, atol=1e-6)
    assert float(t) == pytest.approx(index / (timesteps - 1), abs=1e-6)
    assert weight.tolist() == [1.0]


def test_a_time_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"t must be in \[0, 1\]"):
        gaussian().corrupt(torch.zeros(1, 4, 1), slots_of(), keyed(), torch.tensor([1.5]))


def test_training_times_are_uniform_over_all_timesteps() -> None:
    index = (9 * drawn_times(20000, timesteps=10)).round().long()
    counts = torch.bincount(index, minlength=10)
    assert len(counts) == 10
    assert float((counts - 2000).abs().max()) < 250  # 6 standard deviations


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0, 2.0])
def test_time_power_moves_training_towards_noise_or_away(power: float) -> None:
    times = drawn_times(20000, time_power=power).double()
    assert float(times.mean()) == pytest.approx(1 / (1 + power), abs=0.01)  # the mean of u^p
    assert 0 <= float(times.min()) <= float(times.max()) <= 1


def test_the_strongest_lean_towards_noise_stays_inside_the_schedule() -> None:
    assert drawn_times(50, time_power=1e-17).tolist() == [1.0] * 50


def test_time_per_batch_draws_one_time_for_all_rows() -> None:
    assert len(drawn_times(50, time_per="batch").unique()) == 1
    assert len(drawn_times(50, time_per="row").unique()) > 40


def test_the_capped_weight_is_the_signal_to_noise_ratio_up_to_five() -> None:
    t = torch.tensor([0.0, 499 / 999, 1.0])
    weight = gaussian(loss_weight="snr_capped").corrupt(torch.zeros(3, 4, 1), slots_of(3), keyed(3), t)[2]
    assert weight.tolist() == pytest.approx([5.0, 0.49384 / 0.50616, 2.43e-9], rel=1e-3)


def test_the_shares_of_training_are_handed_to_the_engine() -> None:
    sampler = gaussian(self_condition=0.5, own_predictions=0.25)
    assert (sampler.self_condition, sampler.own_predictions) == (0.5, 0.25)
    assert (gaussian().self_condition, gaussian().own_predictions) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"eta": 0.5, "solver": "dpmpp_2m"},
            r'eta = 0\.5 with solver = "dpmpp_2m".*or use solver = "ddim"',
        ),
        ({"eta": 1.0, "solver": "ddpm"}, r'eta = 1 with solver = "ddpm".*remove eta'),
        ({"steps": 1, "spacing": "leading"}, r'spacing = "leading" with steps = 1.*use spacing = "trailing"'),
        ({"steps": 51, "timesteps": 50}, "steps = 51: must be between 1 and timesteps = 50"),
    ],
)
def test_options_that_contradict_each_other_are_refused_by_name_with_a_remedy(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        gaussian(**options)


def test_a_contradiction_is_a_mistake_of_the_recipe() -> None:
    with pytest.raises(RecipeError):
        gaussian(eta=1.0, solver="ddpm")


OTHER: dict[str, object] = {
    "schedule": "linear",
    "timesteps": 500,
    "steps": 3,
    "eta": 1.0,
    "solver": "dpmpp_2m",
    "spacing": "leading",
    "temperature": 0.5,
    "time_power": 0.5,
    "time_per": "batch",
    "loss_weight": "snr_capped",
    "self_condition": 0.5,
    "own_predictions": 0.5,
    "start_share": 0.9,
    "start_first": 0.5,
}


def footprint(options: dict[str, object]) -> list[float]:
    sampler, case = gaussian(**options), tiny.case(videos=3, clips=6)
    slots = TARGET.slots(tiny.condition(TARGET, case), None)
    x0 = TARGET.space.signal(TARGET.encode(tiny.rows(case), slots, keyed(3)))
    trained = [value.double().sum() for value in sampler.corrupt(x0, slots, keyed(3))]
    sampled = sampler.sample(toy_network(TARGET.space), slots, TARGET, keyed(3))[-1].x0.double().sum()
    return [*map(float, [*trained, sampled]), sampler.self_condition, sampler.own_predictions]


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(GaussianOptions)])
def test_every_option_is_read(name: str) -> None:
    assert footprint({name: OTHER[name]}) != pytest.approx(footprint({}), rel=1e-9)


def test_every_option_has_a_line_of_documentation_and_a_default_that_keeps_its_rule() -> None:
    for part in PARTS:
        for field in attrs.fields(part.options):
            assert field.metadata["doc"]
            assert field.metadata["rule"](field.default) is None, field.name


@pytest.mark.parametrize(
    ("name", "illegal"),
    [
        ("schedule", "sigmoid"),
        ("timesteps", 1),
        ("steps", 0),
        ("eta", 1.5),
        ("solver", "heun"),
        ("spacing", "karras"),
        ("temperature", -1.0),
        ("time_power", 0.0),
        ("time_per", "slot"),
        ("loss_weight", "snr"),
        ("self_condition", 1.1),
        ("own_predictions", -0.1),
    ],
)
def test_a_value_out_of_range_breaks_the_rule_of_its_option(name: str, illegal: object) -> None:
    assert attrs.fields_dict(GaussianOptions)[name].metadata["rule"](illegal).startswith("must be")


def test_the_parts_are_named_and_cite_complete_entries() -> None:
    assert {part.name: part.kind for part in PARTS} == {"gaussian": "sampler", "one_step": "sampler"}
    for part in PARTS:
        assert isinstance(part.factory(part.options()), part.factory)  # type: ignore[arg-type]
        assert part.summary.endswith(".") or ":" in part.summary
    papers = next(part.papers for part in PARTS if part.name == "gaussian")
    keys = [paper.bibtex.split("{")[1].split(",")[0] for paper in papers]
    assert len(set(keys)) == len(keys)
    for paper in papers:
        assert paper.bibtex.startswith("@")
        assert paper.bibtex.count("{") == paper.bibtex.count("}")
        assert all(f"  {field}" in paper.bibtex for field in ("title", "author", "year"))


def test_a_schedule_keeps_float64_while_states_keep_the_dtype_of_the_data() -> None:
    sampler = gaussian()
    assert sampler.alphas_cumprod.dtype == torch.float64
    assert math.isclose(float(sampler.alphas_cumprod[-1]), 2.43e-9, rel_tol=1e-2)
    x_t, t, weight = sampler.corrupt(torch.zeros(1, 4, 1), slots_of(), keyed())
    assert (x_t.dtype, t.dtype, weight.dtype) == (torch.float32,) * 3


def test_a_network_that_answers_in_half_precision_does_not_lower_the_precision_of_the_state() -> None:
    said = torch.tensor([0.1, 0.37, 0.6, 0.9])[None, :, None].bfloat16()

    def states(x0: Tensor) -> list[Tensor]:
        seen: list[Tensor] = []

        def network(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
            seen.append(x_t)
            return Prediction(x0)

        gaussian(steps=3).sample(network, slots_of(), TARGET, keyed())
        return seen

    for half, single in zip(states(said), states(said.float()), strict=True):
        assert half.dtype == torch.float32
        assert torch.equal(half, single)


def test_a_share_of_training_rows_is_given_the_state_that_sampling_starts_from() -> None:
    mask = torch.ones(4000, 3, dtype=torch.bool)
    slots = Slots(mask, mask.long(), None, ((3,),))
    x0 = torch.ones(4000, 3, 1)
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    process = Gaussian(GaussianOptions(temperature=0.0, start_share=0.4, start_first=0.5))
    for progress, share in ((0.0, 1.0), (0.49, 1.0), (0.5, 0.4), (1.0, 0.4)):
        process.at(progress)
        x_t, t, _ = process.corrupt(x0, slots, noise)
        empty = (x_t == 0).flatten(1).all(dim=1)
        assert (t[empty] == 1).all()
        assert abs(float(empty.float().mean()) - share) < 0.03
        x_t, t, _ = process.corrupt(x0, slots, noise, torch.full((4000,), 0.1))
        assert (x_t.flatten(1) != 0).any(dim=1).all()
