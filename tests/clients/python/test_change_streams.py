"""Change streams as clients see them: redis-py's consumer groups, and boto3's own parsing of DynamoDB Streams over DDB."""

import datetime
import json

import boto3
import pytest
import redis
from botocore.awsrequest import AWSResponse
from botocore.config import Config


class Raw:
    """The unread rest of a response."""

    def __init__(self, body):
        self.body = body

    def stream(self, *_args, **_kwargs):
        yield self.body

    def read(self, *_args, **_kwargs):
        body, self.body = self.body, b""
        return body


@pytest.fixture
def aws(server):
    """Makes boto3 clients whose requests go through the DDB command; everything else is boto3's own."""
    connection = redis.Redis(port=server.port)

    def send(request, **_kwargs):
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        try:
            status, body = 200, connection.execute_command("DDB", operation, request.body)
        except redis.ResponseError as error:
            status, body = 400, str(error).removeprefix("DDB ").encode()
        return AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.0"}, Raw(body))

    def client(service):
        made = boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
                            config=Config(retries={"max_attempts": 0}))
        made.meta.events.register("before-send", send)
        return made

    yield client
    connection.close()


def create(ddb, view="NEW_AND_OLD_IMAGES"):
    return ddb.create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view})["TableDescription"]


def iterator(streams, arn, kind="TRIM_HORIZON", **more):
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return streams.get_shard_iterator(
        StreamArn=arn, ShardId=shards[0]["ShardId"], ShardIteratorType=kind, **more)["ShardIterator"]


def test_records_as_boto3_parses_them(aws):
    ddb, streams = aws("dynamodb"), aws("dynamodbstreams")
    table = create(ddb)
    arn = table["LatestStreamArn"]
    assert arn == f"{table['TableArn']}/stream/{table['LatestStreamLabel']}"
    assert streams.list_streams(TableName="orders")["Streams"] == [
        {"StreamArn": arn, "TableName": "orders", "StreamLabel": table["LatestStreamLabel"]}]
    key = {"id": {"S": "a"}, "n": {"N": "1"}}
    old = {**key, "b": {"B": b"\x00\xff"}, "l": {"L": [{"NULL": True}, {"M": {"x": {"BOOL": False}}}]}}
    new = {**old, "ss": {"SS": ["x", "y"]}}
    ddb.put_item(TableName="orders", Item=old)
    ddb.put_item(TableName="orders", Item=old)
    ddb.put_item(TableName="orders", Item=new)
    ddb.delete_item(TableName="orders", Key=key)
    got = streams.get_records(ShardIterator=iterator(streams, arn))
    records = got["Records"]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    change = records[1]["dynamodb"]
    assert (change["Keys"], change["OldImage"], change["NewImage"]) == (key, old, new)
    assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert abs(change["ApproximateCreationDateTime"] - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=1)
    assert records[1]["awsRegion"] == "us-east-1" and records[1]["eventSource"] == "aws:dynamodb"
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert numbers == sorted(numbers) and all(21 <= len(number) <= 40 for number in numbers)
    assert len({record["eventID"] for record in records}) == 3
    again = streams.get_records(ShardIterator=iterator(streams, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=numbers[2]))
    assert again["Records"] == records[2:]
    assert streams.get_records(ShardIterator=got["NextShardIterator"])["Records"] == []


def test_errors_as_boto3_raises_them(aws):
    ddb, streams = aws("dynamodb"), aws("dynamodbstreams")
    arn = create(ddb, "KEYS_ONLY")["LatestStreamArn"]
    with pytest.raises(streams.exceptions.ResourceNotFoundException):
        streams.describe_stream(StreamArn=arn[:-1] + "x")
    on = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    with pytest.raises(ddb.exceptions.ClientError, match="already has an enabled stream"):
        ddb.update_table(TableName="orders", StreamSpecification=on)
    ddb.update_table(TableName="orders", StreamSpecification={"StreamEnabled": False})
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    assert "EndingSequenceNumber" in described["Shards"][0]["SequenceNumberRange"]
    assert "NextShardIterator" not in streams.get_records(ShardIterator=iterator(streams, arn))
    newer = ddb.update_table(TableName="orders", StreamSpecification=on)["TableDescription"]["LatestStreamArn"]
    assert newer > arn and len(streams.list_streams()["Streams"]) == 2


@pytest.mark.parametrize("checkpoint", [False, True])
def test_the_stream_of_a_dropped_table_survives_a_kill(aws, r, server, checkpoint):
    ddb, streams = aws("dynamodb"), aws("dynamodbstreams")
    create(ddb)
    ddb.put_item(TableName="orders", Item={"id": {"S": "a"}, "n": {"N": "1"}})
    arn = ddb.delete_table(TableName="orders")["TableDescription"]["LatestStreamArn"]
    if checkpoint:
        r.save()
    server.kill9()
    server.up()
    assert ddb.list_tables()["TableNames"] == [] and r.exists("orders@stream") == 0
    assert [one["StreamArn"] for one in streams.list_streams()["Streams"]] == [arn]
    assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    records = streams.get_records(ShardIterator=iterator(streams, arn))["Records"]
    assert [record["eventName"] for record in records] == ["INSERT"]


def test_a_group_of_consumers_shares_the_changes(r, server):
    r.execute_command("TABLE.CREATE", "carts", "PK", "user", "S", "ATTR", "qty", "N", "STREAM", "BOTH")
    r.xgroup_create("carts@stream", "mail", id="0")
    for n in range(6):
        r.execute_command("ITEM.PUT", "carts", f"u{n}", "SET", 1, "qty", n)
    seen = {}
    for consumer in ("one", "two"):
        reply = r.xreadgroup("mail", consumer, {"carts@stream": ">"}, count=3)
        # RESP3 gives a map of lists of batches, RESP2 a list of pairs.
        entries = reply["carts@stream"][0] if isinstance(reply, dict) else reply[0][1]
        for number, fields in entries:
            seen[json.loads(fields["keys"])["user"]["S"]] = json.loads(fields["new"])["qty"]["N"]
            if consumer == "one":
                r.xack("carts@stream", "mail", number)
    assert seen == {f"u{n}": str(n) for n in range(6)}
    with pytest.raises(redis.ResponseError, match="written by changes of its items only"):
        r.xadd("carts@stream", {"a": 1})
    r.close()
    server.kill9()
    server.up()
    assert r.xpending("carts@stream", "mail")["pending"] == 3
    assert len(r.xautoclaim("carts@stream", "mail", "three", 0)[1]) == 3
    assert r.xinfo_stream("carts@stream")["length"] == 6
