"""Tests with other implementations of DynamoDB as referees: moto in this process, dynalite beside it.

`ITEMORY_REFEREE_OPERATIONS` sets how many requests are made up for each, `ITEMORY_TEST_SEED` another seed.
"""

import itertools
import os
import pathlib
import random

import pytest
from referee import corners, excuses, generate, legacy, shapes
from referee.backends import DYNALITE, Dynalite, Itemory, Moto
from referee.panel import Panel

OPERATIONS = int(os.environ.get("ITEMORY_REFEREE_OPERATIONS", "6000"))
SEED = int(os.environ.get("ITEMORY_TEST_SEED", "1"))

DOCUMENTATION = pathlib.Path(__file__).parents[3] / "docs" / "compatibility.md"


@pytest.fixture(params=[Moto, Dynalite], ids=lambda referee: referee.name)
def panel(server, request):
    if request.param is Dynalite and not DYNALITE:
        pytest.skip("ITEMORY_DYNALITE does not say where dynalite is")
    panel = Panel(Itemory(server), [request.param()])
    yield panel
    print(f"{panel.compared} replies compared, {sum(panel.excused.values())} differences excused: {panel.excused}")
    for one in [panel.ours, *panel.others]:
        one.close()


def test_the_referees_agree_on_generated_requests(panel):
    for name, attributes in generate.TABLES.items():
        corners.TABLES[name] = attributes
        panel.create(corners.create(name))
    generator = generate.Generator(random.Random(SEED))
    for _ in range(OPERATIONS):
        panel.ask(*generator.request())
    panel.finish()


def test_the_referees_agree_in_the_corners(panel):
    # moto checks few details of requests, but it has transactions, which dynalite lacks.
    families = {"transactions"} if isinstance(panel.others[0], Moto) else None
    for name in ("hash", "sort", "text", "bytes", "count"):
        panel.create(corners.create(name))
    for operation, body in corners.setup():
        panel.ask(operation, body)
    for family, operation, body in itertools.chain(corners.everything(), legacy.everything()):
        if families and family not in families:
            continue
        panel.ask(operation, body)
        everyone = [panel.ours, *panel.others]
        if operation == "CreateTable":
            for one in everyone:
                # A referee that replies before the table exists has to be asked again.
                while one.call("DeleteTable", {"TableName": "made"}).error == "ResourceInUseException":
                    pass
        elif operation in ("PutItem", "UpdateItem", "DeleteItem"):
            for restoring in corners.restore():
                for one in everyone:
                    one.call(*restoring)
    panel.finish()


def test_every_excuse_is_explained():
    text = DOCUMENTATION.read_text()
    names = {one.name for one in excuses.EXCUSES}
    assert not [name for name in sorted(names) if f"`{name}`" not in text]


# The members of requests that are ignored.
PASSED_OVER = {
    "ResourcePolicy", "ReplicaUpdates",
    "MultiRegionConsistency", "GlobalTableWitnessUpdates", "GlobalTableSettingsReplicationMode", "GlobalTableSourceArn",
    "VectorIndexes", "VectorIndexUpdates", "DisassociationProtectionEnabled",
}

WRONG = {"string": 5, "boolean": "maybe", "integer": "x", "long": "x", "list": "x", "map": "x", "structure": "x"}


@pytest.fixture
def itemory(server):
    itemory = Itemory(server)
    yield itemory
    itemory.close()


OURS = ["BatchGetItem", "BatchWriteItem", "CreateTable", "DeleteItem", "DeleteTable", "DescribeEndpoints", "DescribeLimits",
        "DescribeTable", "DescribeTimeToLive", "GetItem", "ListTables", "ListTagsOfResource", "PutItem", "Query", "Scan",
        "TagResource", "TransactGetItems", "TransactWriteItems", "UntagResource", "UpdateItem", "UpdateTable",
        "UpdateTimeToLive"]


@pytest.mark.parametrize("operation", OURS)
def test_members_have_the_models_types(itemory, operation):
    members = shapes.model().operation_model(operation).input_shape.members
    for name, shape in members.items():
        reply = itemory.call(operation, {name: WRONG[shape.type_name]})
        shapes.check(operation, reply)
        if name not in PASSED_OVER:
            assert reply.error == "SerializationException", f"{operation}.{name}: {reply}"


@pytest.mark.parametrize("operation", OURS)
def test_an_empty_request_lacks_what_the_model_requires(itemory, operation):
    reply = itemory.call(operation, {})
    shapes.check(operation, reply)
    required = shapes.model().operation_model(operation).input_shape.required_members
    expected = "ValidationException" if required else None
    assert reply.error == expected, f"{operation}: {reply}"
    for name in required:
        small = name[0].lower() + name[1:]
        alone = name == "TableName" or (name == "ResourceArn" and "Invalid TableArn" in reply.message)
        others_first = operation in ("CreateTable", "UpdateTable", "TagResource", "UntagResource", "UpdateTimeToLive")
        assert f"'{small}'" in reply.message or alone or others_first, f"{operation}: {reply}"


def test_unknown_operations(itemory):
    for operation in sorted(set(shapes.model().operation_names) - set(OURS)):
        reply = itemory.call(operation, {})
        assert reply.body == {"__type": "com.amazon.coral.service#UnknownOperationException"}
