"""Resources that must be refused: each is a good one with one thing wrong, the field that is named, and words of the refusal."""

from __future__ import annotations

from typing import Any

from tests.platforms.kubernetes.wrong import Wrong
from tests.platforms.kubernetes.wrong_batches import BATCHES

NAME = "metadata.name"


def plan(change: dict[str, Any], at: str, words: str) -> Wrong:
    """A wrong plan."""
    return Wrong(change=change, at=f"spec.{at}", words=words, is_a_plan=True)


def steps(*weights: float, **first: Any) -> dict[str, Any]:
    """A change of the steps; what else is said is said of the first."""
    written: list[dict[str, Any]] = [{"weightPercent": weight} for weight in weights]
    if written:
        written[0] |= first
    return {"strategy": {"steps": written}}


def gates(*written: dict[str, Any], **strategy: Any) -> dict[str, Any]:
    """A change of the gates, and of the strategy's other fields."""
    return {"strategy": {"gates": list(written), **strategy}}


ERRORS = {"kind": "errors"}
QUERY = {"kind": "query", "name": "psi", "query": "psi", "passAtMost": 0.1, "failAbove": 0.2}
PREVIEW = [{"weightPercent": 0}]
STEPS, GATES = "strategy.steps", "strategy.gates"

NAMES_AND_IMAGES = {
    "a name of 41 characters": Wrong(change={}, name="f" * 41, at=NAME, words="at most 40 characters"),
    "a name that begins with a digit": Wrong(change={}, name="2fraud", at=NAME, words="a letter first"),
    "a name with a dot": Wrong(change={}, name="fraud.eu", at=NAME, words="lower-case letters, digits and -"),
    "neither image nor Bento": Wrong(change={"image": None}, at="spec", words="exactly one of image and bento"),
    "image and Bento": Wrong(change={"bento": "fraud:v2"}, at="spec", words="exactly one of image and bento"),
    "an empty image": Wrong(change={"image": ""}, at="spec", words="exactly one of image and bento"),
    "an image with a space": Wrong(change={"image": "fraud: v2"}, at="spec.image", words="should match"),
    "a Bento without a tag": Wrong(change={"image": None, "bento": "fraud"}, at="spec.bento", words="should match"),
    "a Bento's prefix before an image": Wrong(
        change={"imagePrefix": "models/"}, at="spec.imagePrefix", words="write it into image"
    ),
    "an image without a tag": Wrong(change={"image": "models/fraud"}, at="spec.version", words="name the version"),
    "a registry's port that is no tag": Wrong(
        change={"image": "registry:5000/fraud"}, at="spec.version", words="name the version"
    ),
    "the tag latest": Wrong(change={"image": "fraud:latest"}, at="spec.version", words="a tag of its own"),
    "a Bento's tag latest": Wrong(
        change={"image": None, "bento": "fraud:latest"}, at="spec.version", words="a tag of its own"
    ),
    "only a digest": Wrong(
        change={"image": f"fraud@sha256:{'0' * 64}"}, at="spec.version", words="name the version in version"
    ),
    "the tag latest with a digest": Wrong(
        change={"image": f"fraud:latest@sha256:{'0' * 64}"}, at="spec.version", words="a tag of its own"
    ),
    "a tag that is no label": Wrong(change={"image": "fraud:V2"}, at="spec.version", words="no version's name"),
    "a tag too long for a label": Wrong(
        change={"image": f"fraud:{'v' * 64}"}, at="spec.version", words="at most 63 characters"
    ),
    "a version with a capital": Wrong(change={"version": "V2"}, at="spec.version", words="should match"),
    "a version with a slash": Wrong(change={"version": "team/v2"}, at="spec.version", words="should match"),
    "a version of 64 characters": Wrong(change={"version": "v" * 64}, at="spec.version", words="63"),
    "an archive that no volume holds": Wrong(
        change={"archive": "fraud/fraud-v2.canario"}, at="spec.archive", words="name the claim in archivesClaim"
    ),
    "an archive outside of its volume": Wrong(
        change={"archive": "../fraud-v2.canario", "archivesClaim": "archives"}, at="spec.archive", words="should match"
    ),
    "an archive from the root": Wrong(
        change={"archive": "/etc/fraud-v2.canario", "archivesClaim": "archives"},
        at="spec.archive",
        words="should match",
    ),
    "an archive that names no version": Wrong(
        change={"archive": "newest.canario", "archivesClaim": "archives"},
        at="spec.archive",
        words="MODEL-VERSION.canario",
    ),
    "an archive with half a digest": Wrong(
        change={"archive": "fraud-v2.canario#sha256:ab", "archivesClaim": "archives"},
        at="spec.archive",
        words="should match",
    ),
}

PODS = {
    "no replica": Wrong(change={"replicas": 0}, at="spec.replicas", words="greater than or equal to 1"),
    "a thousand replicas": Wrong(change={"replicas": 1000}, at="spec.replicas", words="less than or equal to 100"),
    "half a replica": Wrong(change={"replicas": 1.5}, at="spec.replicas", words="integer"),
    "replicas in words": Wrong(change={"replicas": "two"}, at="spec.replicas", words="integer"),
    "replicas and autoscaling": Wrong(
        change={"replicas": 2, "autoscaling": {}}, at="spec.replicas", words="leave one out"
    ),
    "a least number above the most": Wrong(
        change={"autoscaling": {"minReplicas": 5, "maxReplicas": 3}},
        at="spec.autoscaling.minReplicas",
        words="raise maxReplicas",
    ),
    "autoscaling by CPU that nobody requests": Wrong(
        change={"resources": None, "autoscaling": {}}, at="spec.autoscaling", words="set resources.requests.cpu"
    ),
    "autoscaling at 0 percent": Wrong(
        change={"autoscaling": {"cpuPercent": 0}}, at="spec.autoscaling.cpuPercent", words="greater than or equal to 1"
    ),
    "servers that follow two figures": Wrong(
        change={"autoscaling": {"requestsPerSecond": 50, "cpuPercent": 70}},
        at="spec.autoscaling",
        words="servers follow one figure",
    ),
    "a figure of nothing": Wrong(
        change={"autoscaling": {"waitingRequests": 0}}, at="spec.autoscaling.waitingRequests", words="greater than 0"
    ),
    "a quantity that is none": Wrong(
        change={"resources": {"requests": {"memory": "1 GB"}}}, at="spec.resources.requests", words="such as 250m"
    ),
    "a negative quantity": Wrong(
        change={"resources": {"limits": {"memory": "-1Gi"}}}, at="spec.resources.limits", words="at least 0"
    ),
    "a request above its limit": Wrong(
        change={"resources": {"requests": {"cpu": 2}}}, at="spec.resources.requests", words="raise the limit"
    ),
    "another pull policy": Wrong(
        change={"imagePullPolicy": "Sometimes"}, at="spec.imagePullPolicy", words='"IfNotPresent", "Always", "Never"'
    ),
    "a secret without a name": Wrong(
        change={"imagePullSecrets": [{}]}, at="spec.imagePullSecrets[0].name", words="Required"
    ),
    "the same secret twice": Wrong(
        change={"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, at="spec.imagePullSecrets[1]", words="Duplicate"
    ),
    "a service account with a capital": Wrong(
        change={"serviceAccountName": "Fraud"}, at="spec.serviceAccountName", words="should match"
    ),
    "a priority class with a space": Wrong(
        change={"priorityClassName": "very high"}, at="spec.priorityClassName", words="should match"
    ),
    "a node's label with a space": Wrong(
        change={"nodeSelector": {"a b": "c"}}, at="spec.nodeSelector", words="no label's name"
    ),
    "a node label's value with a space": Wrong(
        change={"nodeSelector": {"a": "b c"}}, at="spec.nodeSelector.a", words="should match"
    ),
    "a toleration of nothing": Wrong(
        change={"tolerations": [{}]}, at="spec.tolerations[0].key", words="choose operator Exists"
    ),
    "a toleration that compares nothing": Wrong(
        change={"tolerations": [{"key": "gpu", "operator": "Exists", "value": "a"}]},
        at="spec.tolerations[0].value",
        words="leave value out",
    ),
    "a toleration that ends without reason": Wrong(
        change={"tolerations": [{"key": "gpu", "tolerationSeconds": 5}]},
        at="spec.tolerations[0].tolerationSeconds",
        words="belongs to effect NoExecute",
    ),
}

PLANS = {
    "a strategy nobody knows": Wrong(
        change={"strategy": {"type": "rainbow"}}, at="spec.strategy.type", words='"canary", "blue-green", "shadow"'
    ),
    "no step at all": plan(steps(), STEPS, "at least 1"),
    "more steps than a person reads": Wrong(
        change=steps(*range(1, 51), 100), at="spec.strategy.steps", words="at most 50 items"
    ),
    "a step without a weight": Wrong(
        change={"strategy": {"steps": [{"approval": True}]}},
        at="spec.strategy.steps[0].weightPercent",
        words="Required",
    ),
    "weights that fall": plan(steps(50, 10, 100), STEPS, "write them from small to large"),
    "weights that stand still": plan(steps(10, 10, 100), STEPS, "write them from small to large"),
    "a canary of weight 0": plan(steps(0, 100), STEPS, "choose type blue-green"),
    "a negative weight": plan(steps(-5, 100), "strategy.steps[0].weightPercent", "greater than or equal to 0"),
    "a weight above 100": plan(steps(10, 120), "strategy.steps[1].weightPercent", "less than or equal to 100"),
    "a weight in words": Wrong(
        change={"strategy": {"steps": [{"weightPercent": "10%"}]}},
        at="spec.strategy.steps[0].weightPercent",
        words="number",
    ),
    "a weight finer than the router deals": plan(
        steps(0.125, 100), "strategy.steps[0].weightPercent", "in steps of 0.01 %"
    ),
    "a canary that stops half way": plan(steps(10, 50), STEPS, "end with a step of 100"),
    "a blue-green with rising weights": plan({"strategy": {"type": "blue-green"}}, STEPS, "choose type canary"),
    "a blue-green with two previews": plan(
        {"strategy": {"type": "blue-green", "steps": PREVIEW * 2}}, STEPS, "one step, of weight 0"
    ),
    "a shadow with a weight": plan(
        {"strategy": {"type": "shadow", "steps": [{"weightPercent": 10}]}}, STEPS, "one step, of weight 0"
    ),
    "promotion after a shadow that is none": plan(
        {"strategy": {"promoteAfterShadow": True}}, "strategy.promoteAfterShadow", "choose type shadow"
    ),
    "no minimum of requests": plan(
        steps(10, 100, minimumRequests=0), "strategy.steps[0].minimumRequests", "greater than or equal to 1"
    ),
    "a negative minimum of seconds": plan(
        steps(10, 100, minimumSeconds=-1), "strategy.steps[0].minimumSeconds", "greater than or equal to 0"
    ),
    "a step without any time": plan(
        steps(10, 100, longestSeconds=0), "strategy.steps[0].longestSeconds", "greater than 0"
    ),
    "a minimum longer than the longest wait": plan(
        steps(10, 100, minimumSeconds=700), "strategy.steps[0].minimumSeconds", "make longestSeconds longer"
    ),
    "approval with nothing after it": plan(
        steps(100, approval=True), "strategy.steps[0].approval", "on the step before"
    ),
    "a gate nobody knows": Wrong(
        change=gates({"kind": "luck"}), at="spec.strategy.gates[0].kind", words='"errors", "slow"'
    ),
    "the same gate twice": plan(gates(ERRORS, {**ERRORS, "marginPercent": 2}), GATES, "keep one of each kind"),
    "an alpha of 0, which never fires": plan(
        gates({**ERRORS, "alpha": 0}), "strategy.gates[0].alpha", "greater than 0"
    ),
    "an alpha of 1, which always fires": plan(
        gates({**ERRORS, "alpha": 1}), "strategy.gates[0].alpha", "0.001 is usual"
    ),
    "a confidence of 95 instead of 0.95": plan(
        gates({**ERRORS, "confidence": 95}), "strategy.gates[0].confidence", "less than or equal to 1"
    ),
    "a confidence worse than a coin": plan(
        gates({**ERRORS, "confidence": 0.4}), "strategy.gates[0].confidence", "0.95 is usual"
    ),
    "certainty": plan(gates({**ERRORS, "confidence": 1}), "strategy.gates[0].confidence", "to below 1"),
    "a margin of 0, which even an equal version never meets": plan(
        gates({**ERRORS, "marginPercent": 0}), "strategy.gates[0].marginPercent", "greater than 0"
    ),
    "a margin of 100, which everything meets": plan(
        gates({**ERRORS, "marginPercent": 100}), "strategy.gates[0].marginPercent", "below 100 percentage points"
    ),
    "disagreement without copies": plan(gates({"kind": "disagreement"}), GATES, "choose type shadow"),
    "score distance without copies": plan(
        gates({"kind": "score-distance"}, type="blue-green", steps=PREVIEW), GATES, "choose type shadow"
    ),
    "labels for answers that nobody saw": plan(
        gates({"kind": "disagreement"}, {"kind": "wrong-labels", "blocking": False}, type="shadow", steps=PREVIEW),
        GATES,
        "nobody sees the answers of a shadow",
    ),
    "waiting for labels, which do not come": plan(
        gates(ERRORS, {"kind": "wrong-labels"}), "strategy.gates", "feedbackSecret"
    ),
    "recall of answers that nobody saw": plan(
        gates({"kind": "disagreement"}, {"kind": "recall", "blocking": False}, type="shadow", steps=PREVIEW),
        GATES,
        "nobody sees the answers of a shadow",
    ),
    "waiting for recall without labels": plan(gates(ERRORS, {"kind": "recall"}), GATES, "feedbackSecret"),
    "a query of errors": plan(gates({**ERRORS, "query": "up"}), "strategy.gates[0]", "belong"),
    "a query without a name": plan(gates({**QUERY, "name": ""}), "strategy.gates[0].name", "a query needs a name"),
    "a query with a capital": plan(gates({**QUERY, "name": "PSI"}), "strategy.gates[0].name", "should match"),
    "a query that asks nothing": plan(gates({**QUERY, "query": ""}), "strategy.gates[0].query", "nothing is asked"),
    "a query without bounds": plan(
        gates({"kind": "query", "name": "psi", "query": "psi", "blocking": False}, ERRORS),
        "strategy.gates[0]",
        "without a bound a query can neither pass nor fail",
    ),
    "a query that never passes": plan(
        gates({"kind": "query", "name": "psi", "query": "psi", "failAbove": 1}),
        "strategy.gates[0].blocking",
        "nothing passes this gate",
    ),
    "bounds that contradict each other": plan(
        gates({**QUERY, "passAtMost": 0.3}), "strategy.gates[0]", "the bounds contradict each other"
    ),
    "two queries of one name": plan(gates(QUERY, QUERY), GATES, "a name of its own"),
    "a query that holds for less than nothing": plan(
        gates({**QUERY, "forSeconds": -1}), "strategy.gates[0].forSeconds", "greater than or equal to 0"
    ),
    "a query that takes longer than its step": plan(
        gates({**QUERY, "forSeconds": 600}), "strategy.gates", "takes longer to answer than a step lasts"
    ),
    "a watch that allows no missed one": plan({"watch": {"missedPercent": 0}}, "watch.missedPercent", "greater than 0"),
    "no gate and no person": plan(gates(), GATES, "add a blocking gate"),
    "gates that hold nothing": plan(gates({**ERRORS, "blocking": False}), GATES, "add a blocking gate"),
    "the default steps without a gate": plan(gates(steps=None), GATES, "add a blocking gate"),
    "something else after a timeout": Wrong(
        change={"strategy": {"onTimeout": "promote"}}, at="spec.strategy.onTimeout", words='"pause", "roll-back"'
    ),
    "no time to start": plan({"strategy": {"startSeconds": 0}}, "strategy.startSeconds", "greater than 0"),
    "sticky users of a blue-green": plan(
        {"strategy": {"type": "blue-green", "steps": PREVIEW}, "traffic": {"stickyHeader": "x-user"}},
        "traffic.stickyHeader",
        "choose strategy.type canary",
    ),
    "a header that gRPC cannot carry": plan(
        {"traffic": {"stickyHeader": "X-User"}}, "traffic.stickyHeader", "lower-case letters"
    ),
    "a header that is another each time": plan(
        {"traffic": {"stickyHeader": "x-request-id"}}, "traffic.stickyHeader", "names the user"
    ),
    "a header that names a version": plan(
        {"traffic": {"stickyHeader": "x-canario-version"}}, "traffic.stickyHeader", "names the user"
    ),
    "copies of no request": plan({"traffic": {"shadowPercent": 0}}, "traffic.shadowPercent", "greater than 0"),
    "more copies than requests": plan(
        {"traffic": {"shadowPercent": 150}}, "traffic.shadowPercent", "less than or equal to 100"
    ),
    "an answer within no time": Wrong(
        change={"traffic": {"timeoutSeconds": 0}}, at="spec.traffic.timeoutSeconds", words="greater than 0"
    ),
    "a negative watch": plan({"watch": {"seconds": -1}}, "watch.seconds", "greater than or equal to 0"),
    "a watch that allows no error": plan({"watch": {"errorPercent": 0}}, "watch.errorPercent", "greater than 0"),
    "a watch that allows more than all": plan(
        {"watch": {"slowPercent": 101}}, "watch.slowPercent", "less than or equal to 100"
    ),
    "a latency of nothing": Wrong(
        change={"objectives": {"latencyMilliseconds": 0}},
        at="spec.objectives.latencyMilliseconds",
        words="greater than 0",
    ),
    "no history": Wrong(change={"historyLimit": 0}, at="spec.historyLimit", words="greater than or equal to 1"),
}


UNKNOWN_FIELDS = {
    "a field that is misspelt": Wrong(change={"replica": 2}, at="spec.replica", words="unknown field"),
    "a field of a step in another spelling": Wrong(
        change={"strategy": {"steps": [{"weightPercent": 100, "weight_percent": 5}]}},
        at="spec.strategy.steps[0].weight_percent",
        words="unknown field",
    ),
    "a field of a Deployment": Wrong(change={"template": {}}, at="spec.template", words="unknown field"),
}

BY_CONDITION = {
    "a query about nobody": Wrong(
        change=gates({**QUERY, "query": 'psi{version="$canary"}'}),
        at="spec.strategy.gates[0].query",
        words="stands for nothing",
        refused_by="condition",
        is_a_plan=True,
    ),
    "a margin too small for the longest wait": Wrong(
        change=gates({**ERRORS, "marginPercent": 0.00005}),
        at="spec.strategy.gates[0].marginPercent",
        words="good requests, too many for",
        refused_by="condition",
        is_a_plan=True,
    ),
    "a wait too short for the default gates": Wrong(
        change=steps(10, 100, longestSeconds=0.01)
        | {"strategy": {**steps(10, 100, longestSeconds=0.01)["strategy"], "gates": None}},
        at="spec.strategy.gates[0].marginPercent",
        words="good requests, too many for",
        refused_by="condition",
        is_a_plan=True,
    ),
}

WRONG: dict[str, Wrong] = {**NAMES_AND_IMAGES, **PODS, **PLANS, **BATCHES, **UNKNOWN_FIELDS, **BY_CONDITION}
