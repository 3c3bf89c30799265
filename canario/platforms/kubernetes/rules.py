"""What the API server refuses beyond types and ranges: rules in CEL that say of a resource what canario.rollout.plan says of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from canario.model.resource import (
    LABEL_KEY_PATTERN,
    VERSION_PATTERN,
    Autoscaling,
    BatchSchedule,
    ModelDeploymentSpec,
    Resources,
    Strategy,
    StrategyGate,
    StrategyStep,
    Toleration,
    Traffic,
)
from canario.platforms.kubernetes.resource import LONGEST_NAME, NAME_PATTERN


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. The steps of an object carry theirs, so that a refusal names the step."""

    holds: str
    """What must be true, in CEL; `self` is the object."""
    message: str
    """What is wrong, and what to do about it."""
    field: str = ""
    """The field that the refusal names, below the object."""


_NAMED = f"^([^@]*/)?[^/@:]+:{VERSION_PATTERN[1:-1]}(@.*)?$"
_VERSION = "(self.?version.orValue('') != '' || self.?archive.orValue('') != '')"
_FROM_PROMETHEUS = " || ".join(
    f"has(self.autoscaling.{name})" for name in ("requestsPerSecond", "waitingRequests", "latencyMilliseconds")
)
"""Autoscaling by a figure that Prometheus measures, which asks nothing of the servers' requests."""

_ADDRESS = "matches('^[a-z][a-z0-9+.-]*://')"


def _has_a_tag(name: str) -> str:
    """Whether an image's name says which version it is. Asked field by field: the API server bounds a rule's cost by the field's length."""
    tagged = f"self.{name}.matches('^([^@]*/)?[^/@:]+:[^/@:]+(@.*)?$')"
    return f"(has(self.{name}) && {tagged} && !self.{name}.matches(':latest(@.*)?$'))"


NAME_RULES = (
    Rule(
        f"self.metadata.name.matches('{NAME_PATTERN}')",
        f"the name becomes the name of Services: at most {LONGEST_NAME} characters, lower-case letters, digits and -, a letter first",
    ),
)
"""Of the whole resource, whose name is the model's."""

RULES: dict[type[Any], tuple[Rule, ...]] = {
    ModelDeploymentSpec: (
        Rule(
            "(self.?image.orValue('') == '') != (self.?bento.orValue('') == '')",
            "give exactly one of image and bento: it says what serves the model",
        ),
        Rule(
            "self.?imagePrefix.orValue('') == '' || self.?bento.orValue('') != ''",
            "imagePrefix stands before a bento: write it into image, or give bento in place of image",
            ".imagePrefix",
        ),
        Rule(
            "self.?archive.orValue('') == '' || self.archive.matches('^https?://') || self.?archivesClaim.orValue('') != ''",
            "the archive is a file, and no volume holds it: name the claim in archivesClaim, or give an address",
            ".archive",
        ),
        Rule(
            "self.?version.orValue('') != '' || self.?archive.orValue('') == ''"
            f" || self.archive.matches('^([^?#]*/)?[a-z][-a-z0-9]*-{VERSION_PATTERN[1:-1]}[.]canario([?#].*)?$')",
            "the archive's file does not say which version it holds: name it MODEL-VERSION.canario, as `canario export` does,"
            " or name the version in version",
            ".archive",
        ),
        Rule(
            f"{_VERSION} || {_has_a_tag('image')} || {_has_a_tag('bento')}"
            " || (self.?image.orValue('') == '' && self.?bento.orValue('') == '')",
            "the image does not say which version it is (no tag, `latest`, or only a digest): give it a tag of its own, or name the version in version",
            ".version",
        ),
        Rule(
            f"{_VERSION} || ((!{_has_a_tag('image')} || self.image.matches('{_NAMED}'))"
            f" && (!{_has_a_tag('bento')} || self.bento.matches('{_NAMED}')))",
            "the tag is no version's name: name the version in version (lower-case letters, digits, `.`, `_` and `-`, at most 63 characters)",
            ".version",
        ),
        Rule(
            "!(has(self.replicas) && has(self.autoscaling))",
            "replicas and autoscaling exclude each other: leave one out",
            ".replicas",
        ),
        Rule(
            f"!has(self.autoscaling) || {_FROM_PROMETHEUS}"
            " || 'cpu' in self.?resources.requests.orValue({}) || 'cpu' in self.?resources.limits.orValue({})",
            "autoscaling follows the share of the CPU that is requested: set resources.requests.cpu, or give requestsPerSecond,"
            " waitingRequests or latencyMilliseconds",
            ".autoscaling",
        ),
        Rule(
            "self.strategy.type == 'canary' || self.traffic.?stickyHeader.orValue('') == ''",
            "only a canary shares a weight that users could stick to: leave stickyHeader out, or choose strategy.type canary",
            ".traffic.stickyHeader",
        ),
        Rule(
            "self.?feedbackSecret.orValue('') != '' || !has(self.strategy.gates)"
            " || !self.strategy.gates.exists(gate, gate.kind in ['wrong-labels', 'recall'] && gate.blocking)",
            "no database keeps the labels, so a gate that waits for them would hold every rollout: name the database's Secret in"
            " feedbackSecret, or set blocking: false",
            ".strategy.gates",
        ),
        Rule(
            f"!has(self.nodeSelector) || self.nodeSelector.all(key, key.matches('{LABEL_KEY_PATTERN}'))",
            "a key of nodeSelector is no label's name, such as kubernetes.io/arch: letters, digits, -, _ and ., after a prefix/ or not",
            ".nodeSelector",
        ),
    ),
    Autoscaling: (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas is above maxReplicas: raise maxReplicas",
            ".minReplicas",
        ),
        Rule(
            "[has(self.cpuPercent), has(self.requestsPerSecond), has(self.waitingRequests), has(self.latencyMilliseconds)]"
            ".filter(given, given).size() <= 1",
            "servers follow one figure: keep one of cpuPercent, requestsPerSecond, waitingRequests and latencyMilliseconds",
        ),
    ),
    Resources: (
        *(
            Rule(
                f"!has(self.{part}) || self.{part}.all(name, isQuantity(string(self.{part}[name])) && !quantity(string(self.{part}[name])).isLessThan(quantity('0')))",
                "a quantity is a number of at least 0 with a unit, such as 250m or 256Mi",
                f".{part}",
            )
            for part in ("requests", "limits")
        ),
        Rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits)"
            " || !isQuantity(string(self.requests[name])) || !isQuantity(string(self.limits[name]))"
            " || !quantity(string(self.requests[name])).isGreaterThan(quantity(string(self.limits[name]))))",
            "a request is above its limit: raise the limit",
            ".requests",
        ),
    ),
    Toleration: (
        Rule(
            "self.operator == 'Exists' || self.?key.orValue('') != ''",
            "a toleration without a key tolerates everything: choose operator Exists, or name the key",
            ".key",
        ),
        Rule(
            "self.operator != 'Exists' || self.?value.orValue('') == ''",
            "operator Exists compares no value: leave value out, or choose operator Equal",
            ".value",
        ),
        Rule(
            "!has(self.tolerationSeconds) || self.?effect.orValue('') == 'NoExecute'",
            "tolerationSeconds belongs to effect NoExecute: leave it out, or choose that effect",
            ".tolerationSeconds",
        ),
    ),
    Strategy: (
        Rule(
            "self.type != 'canary' || !has(self.steps) || self.steps.all(step, step.weightPercent > 0.0)",
            "a canary's weights are above 0: to look before any traffic choose type blue-green",
            ".steps",
        ),
        Rule(
            "self.type != 'canary' || !has(self.steps) || (self.steps.map(step, step.weightPercent).isSorted()"
            " && self.steps.all(step, self.steps.exists_one(other, other.weightPercent == step.weightPercent)))",
            "the weights do not rise: write them from small to large, each once",
            ".steps",
        ),
        Rule(
            "self.type != 'canary' || !has(self.steps) || self.steps[self.steps.size() - 1].weightPercent == 100.0",
            "the last weight is not 100, so the candidate would never answer everybody: end with a step of 100",
            ".steps",
        ),
        Rule(
            "self.type == 'canary' || !has(self.steps) || (self.steps.size() == 1 && self.steps[0].weightPercent == 0.0)",
            "blue-green and shadow have one step, of weight 0 (the preview, the copies): for rising weights choose type canary",
            ".steps",
        ),
        Rule(
            "self.type == 'shadow' || !self.promoteAfterShadow",
            "promoteAfterShadow belongs to a shadow: leave it out, or choose type shadow",
            ".promoteAfterShadow",
        ),
        Rule(
            "!has(self.gates) || self.gates.all(gate, self.gates.exists_one(other, other.kind == gate.kind"
            " && has(other.name) == has(gate.name) && (!has(other.name) || !has(gate.name) || other.name == gate.name)))",
            "the same gate is there twice: keep one of each kind, and give each query a name of its own",
            ".gates",
        ),
        Rule(
            "self.type == 'shadow' || !has(self.gates) || !self.gates.exists(gate, gate.kind in ['disagreement', 'score-distance'])",
            "disagreement and score-distance compare copies, which only a shadow makes: choose type shadow, or the gates errors and slow",
            ".gates",
        ),
        Rule(
            "self.type != 'shadow' || !has(self.gates) || !self.gates.exists(gate, gate.kind in ['wrong-labels', 'recall'])",
            "nobody sees the answers of a shadow, so nobody can say that they were wrong: use disagreement, or a canary",
            ".gates",
        ),
        Rule(
            "!has(self.gates) || !has(self.steps) || self.gates.all(gate, gate.kind != 'query' || !gate.blocking"
            " || self.steps.all(step, step.weightPercent == 100.0 || gate.forSeconds < step.longestSeconds))",
            "a query takes longer to answer than a step lasts: shorten its forSeconds, or make the step's longestSeconds longer",
            ".gates",
        ),
        Rule(
            "!has(self.gates) || self.gates.exists(gate, gate.blocking)"
            " || (has(self.steps) && self.steps.all(step, step.approval || step.weightPercent == 100.0))",
            "nothing holds a step, so it would promote on silence: add a blocking gate, or approval: true to every step before 100",
            ".gates",
        ),
    ),
    StrategyStep: (
        Rule(
            "self.weightPercent * 100.0 - double(int(self.weightPercent * 100.0 + 0.5)) < 0.0001"
            " && double(int(self.weightPercent * 100.0 + 0.5)) - self.weightPercent * 100.0 < 0.0001",
            "the router cannot deal this weight: it deals in steps of 0.01 %",
            ".weightPercent",
        ),
        Rule(
            "self.minimumSeconds <= self.longestSeconds",
            "the step would end before its minimum: make longestSeconds longer",
            ".minimumSeconds",
        ),
        Rule(
            "!self.approval || self.weightPercent < 100.0",
            "nothing follows the last step that could be approved: ask for approval on the step before",
            ".approval",
        ),
    ),
    StrategyGate: (
        # The API server's own words for a bound that is no whole number leave out what stands behind the point.
        Rule(
            "self.alpha <= 0.5",
            "an alpha is a chance of false alarm, above 0 and at most 0.5: 0.001 is usual",
            ".alpha",
        ),
        Rule(
            "self.confidence >= 0.5 && self.confidence < 1.0",
            "a confidence is from 0.5 to below 1: 0.95 is usual",
            ".confidence",
        ),
        Rule(
            "self.kind == 'score-distance' || self.marginPercent < 100.0",
            "the margin is out of range: above 0 and below 100 percentage points",
            ".marginPercent",
        ),
        Rule(
            "self.kind == 'query' || (self.?name.orValue('') == '' && self.?query.orValue('') == '' && !has(self.passAtMost)"
            " && !has(self.failAbove) && !has(self.passAtLeast) && !has(self.failBelow))",
            "name, query and bounds belong to a query: leave them out, or choose kind query",
            ".kind",
        ),
        Rule(
            "self.kind != 'query' || self.?name.orValue('') != ''",
            "a query needs a name, which a verdict calls it by: give one in name",
            ".name",
        ),
        Rule(
            "self.kind != 'query' || self.?query.orValue('') != ''",
            "nothing is asked: write the PromQL into query, or choose another kind",
            ".query",
        ),
        Rule(
            "self.kind != 'query' || has(self.passAtMost) || has(self.failAbove) || has(self.passAtLeast) || has(self.failBelow)",
            "without a bound a query can neither pass nor fail: give passAtMost and failAbove, or passAtLeast and failBelow",
        ),
        Rule(
            "self.kind != 'query' || !self.blocking || has(self.passAtMost) || has(self.passAtLeast)",
            "nothing passes this gate, so it would hold every rollout: give passAtMost or passAtLeast, or set blocking: false",
            ".blocking",
        ),
        Rule(
            "(!has(self.passAtMost) || ((!has(self.failAbove) || self.passAtMost <= self.failAbove)"
            " && (!has(self.passAtLeast) || self.passAtLeast <= self.passAtMost)"
            " && (!has(self.failBelow) || self.failBelow <= self.passAtMost)))"
            " && (!has(self.failBelow) || ((!has(self.failAbove) || self.failBelow <= self.failAbove)"
            " && (!has(self.passAtLeast) || self.failBelow <= self.passAtLeast)))"
            " && (!has(self.passAtLeast) || !has(self.failAbove) || self.passAtLeast <= self.failAbove)",
            "the bounds contradict each other: failBelow <= passAtLeast <= passAtMost <= failAbove",
        ),
    ),
    BatchSchedule: (
        Rule(
            f"self.?claim.orValue('') != '' || (self.input.{_ADDRESS} && self.output.{_ADDRESS})",
            "a path lies on a volume, and none is named: name its claim in claim, or give addresses",
            ".claim",
        ),
        *(
            Rule(
                f"!self.{place}.matches('^(file|local|memory):')",
                "a pod's own files go with the pod: give a path below the volume of claim, or an object store's address",
                f".{place}",
            )
            for place in ("input", "output")
        ),
        Rule(
            "!self.output.matches('[*?\\\\[]')",
            "answers go to one folder: leave *, ? and [ out of output",
            ".output",
        ),
        Rule(
            "!(self.output + '/').startsWith(self.input + (self.input.endsWith('/') ? '' : '/'))",
            "the output lies in the input, so the next run would score the answers of this one: choose a folder beside it",
            ".output",
        ),
        Rule(
            "!self.input.contains('**') || !(self.output + '/').startsWith(self.input.substring(0, self.input.indexOf('**')))",
            "** leads into the output too, so the next run would score the answers of this one: choose folders beside each other",
            ".input",
        ),
        Rule(
            f"!has(self.nodeSelector) || self.nodeSelector.all(key, key.matches('{LABEL_KEY_PATTERN}'))",
            "a key of nodeSelector is no label's name, such as kubernetes.io/arch: letters, digits, -, _ and ., after a prefix/ or not",
            ".nodeSelector",
        ),
    ),
    Traffic: (
        Rule(
            "!has(self.stickyHeader) || self.stickyHeader.matches('^[a-z0-9_-]*$')",
            "this is no header that REST and gRPC both carry: lower-case letters, digits, - and _",
            ".stickyHeader",
        ),
        Rule(
            "self.?stickyHeader.orValue('') != 'x-request-id'",
            "x-request-id is another for every request, so nobody would stick: choose a header that names the user",
            ".stickyHeader",
        ),
        Rule(
            "self.?stickyHeader.orValue('') != 'x-canario-version'",
            "x-canario-version asks for a version past the split, so nobody would stick to what they were dealt: choose a header that"
            " names the user",
            ".stickyHeader",
        ),
    ),
}
