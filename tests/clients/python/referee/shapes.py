"""Checks replies against the service's model, as botocore ships it: no unknown members, none of a wrong type, none missing."""

import functools

import botocore.session


@functools.cache
def model():
    return botocore.session.get_session().get_service_model("dynamodb")


class Misshapen(AssertionError):
    """A reply does not fit the service's model."""


# Errors that every AWS service may return, and that its model therefore omits.
COMMON = {"ValidationException", "SerializationException", "UnknownOperationException"}


def check(operation, reply):
    shape = model().operation_model(operation)
    if reply.error is None:
        if shape.output_shape:
            fit(reply.body, shape.output_shape, operation)
        else:
            expect(not reply.body, operation, "answers more than nothing")
        return
    known = {error.name for error in shape.error_shapes} | COMMON
    if reply.error not in known:
        raise Misshapen(f"{operation} answers {reply.error}, which it does not know")
    error = next((error for error in shape.error_shapes if error.name == reply.error), None)
    members = set(error.members) if error else set()
    for name, member in reply.body.items():
        if name in ("__type", "message", "Message"):
            continue
        if name not in members:
            raise Misshapen(f"{operation}: {reply.error} has no member {name}")
        fit(member, error.members[name], f"{operation}: {reply.error}.{name}")


SCALARS = {"string": str, "boolean": bool, "blob": str, "integer": int, "long": int,
           "double": (int, float), "float": (int, float), "timestamp": (int, float)}


def fit(value, shape, path):
    kind = shape.type_name
    if kind == "structure":
        expect(isinstance(value, dict), path, "is no object")
        for name in value:
            expect(name in shape.members, path, f"has an unknown member {name}")
        for name in shape.required_members:
            expect(name in value, path, f"lacks {name}")
        for name, member in value.items():
            fit(member, shape.members[name], f"{path}.{name}")
    elif kind == "list":
        expect(isinstance(value, list), path, "is no array")
        for at, member in enumerate(value):
            fit(member, shape.member, f"{path}[{at}]")
    elif kind == "map":
        expect(isinstance(value, dict), path, "is no object")
        for name, member in value.items():
            fit(member, shape.value, f"{path}[{name}]")
    else:
        right = isinstance(value, SCALARS[kind]) and (kind == "boolean" or not isinstance(value, bool))
        expect(right, path, f"is no {kind}: {value!r}")
        if kind == "string" and shape.enum:
            expect(value in shape.enum, path, f"is none of {shape.enum}: {value!r}")


def expect(right, path, what):
    if not right:
        raise Misshapen(f"{path} {what}")
