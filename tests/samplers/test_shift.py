"""The shift of a plan is put on clones: what a MODEL brings stays its own."""

from comfy.model_patcher import ModelPatcher
from wan_duet.samplers.shift import connected_shifts
from wan_duet.tests.samplers.runs import Job, duet, pair, shifted


def test_a_connected_model_keeps_its_own_shift_after_a_run_at_another(high: ModelPatcher, other: ModelPatcher) -> None:
    experts = pair(shifted(high, 3.0), shifted(other, 4.0))
    duet(experts, Job(steps=2, shift=7.0))
    assert connected_shifts(experts) == [3.0, 4.0]
    assert [model.get_model_object("model_sampling").shift for model in (high, other)] == [8.0, 8.0]
