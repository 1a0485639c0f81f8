"""The static methods of ``org.pyimgret.bridge``, by class, name and JNI signature.

Declared here instead of by reflection: calls are then unambiguous, take less than a
microsecond, and do not use pyjnius's selection of overloads.
"""

from __future__ import annotations

from pyimgret.jvm.threads import BULK, SHORT, TRAINING

_STRING = "Ljava/lang/String;"

#: Method name -> JNI signature; a test compares it with the Java class.
SIGNATURES: dict[str, str] = {
    "createNetwork": f"({_STRING})J",
    "restoreNetwork": f"({_STRING}Z)J",
    "readMetadata": f"({_STRING}){_STRING}",
    "outputSize": f"(J{_STRING}I)J",
    "saveNetwork": f"(J{_STRING}Z)V",
    "configuration": f"(J){_STRING}",
    "describe": f"(J){_STRING}",
    "getParameters": "(JJ)V",
    "setParameters": "(JJ)V",
    "getParameter": f"(J{_STRING}J)V",
    "setParameter": f"(J{_STRING}J)V",
    "updaterStateLength": "(J)J",
    "getUpdaterState": "(JJ)V",
    "setUpdaterState": "(JJII)V",
    "iterationCount": "(J)I",
    "activate": f"(J{_STRING}IIIJJ)V",
    "createTrainer": f"(J{_STRING})J",
    "trainerIterations": "(J)I",
    "trainEpoch": f"(JJIJ){_STRING}",
    "trainerLoss": "(J)D",
    "multiply": "(JJJIII)V",
    "convolve": "(JJJIII)V",
    "info": f"(){_STRING}",
    "limitMemory": "(J)V",
    "setThreads": "(I)V",
    "watchStopFlag": "(J)V",
    "release": "(J)V",
    "openHandles": "()I",
    "javaNetwork": "(J)Lorg/deeplearning4j/nn/multilayer/MultiLayerNetwork;",
}

_GRAPH: dict[str, str] = {
    "createGraph": f"({_STRING})J",
    "restoreGraph": f"({_STRING}Z)J",
    "saveGraph": f"(J{_STRING}Z)V",
    "graphConfiguration": f"(J){_STRING}",
    "describeGraph": f"(J){_STRING}",
    "getGraphParameters": "(JJ)V",
    "setGraphParameters": "(JJ)V",
    "getGraphParameter": f"(J{_STRING}J)V",
    "setGraphParameter": f"(J{_STRING}J)V",
    "graphOutputShape": f"(J{_STRING}{_STRING}){_STRING}",
    "javaGraph": "(J)Lorg/deeplearning4j/nn/graph/ComputationGraph;",
    "createGraphTrainer": f"(J{_STRING})J",
    "activateGraph": f"(J{_STRING}{_STRING}IJJ)V",
}

_RBM: dict[str, str] = {
    "rbmEpoch": f"({_STRING}J){_STRING}",
    "rbmHidden": f"({_STRING}J)V",
    "rbmVisible": f"({_STRING}J)V",
    "rbmGibbs": f"({_STRING}IJJ)V",
    "rbmFreeEnergy": f"({_STRING}J)V",
}

#: Facade class -> its methods; method names are unique across classes.
FACADES: dict[str, dict[str, str]] = {
    "org/pyimgret/bridge/Bridge": SIGNATURES,
    "org/pyimgret/bridge/GraphBridge": _GRAPH,
    "org/pyimgret/bridge/RbmBridge": _RBM,
}

_TRAINING = frozenset({"trainEpoch", "trainerLoss", "rbmEpoch"})
#: Methods that may take long, including creation and saving of networks.
_BULK = frozenset(
    {
        "activate",
        "activateGraph",
        "createGraph",
        "createGraphTrainer",
        "createNetwork",
        "createTrainer",
        "restoreGraph",
        "restoreNetwork",
        "saveGraph",
        "saveNetwork",
        *_RBM,
    }
)


def thread_of(method: str) -> str:
    """Return the name of the JVM thread that a method runs on."""
    if method in _TRAINING:
        return TRAINING
    return BULK if method in _BULK else SHORT
