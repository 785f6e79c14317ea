import ApusAPI
import Foundation
import Testing

private func decode<Value: Decodable>(_ type: Value.Type, _ json: String) throws -> Value {
    try APIJSON.decode(type, from: Data(json.utf8))
}

private func object(_ value: some Encodable) throws -> [String: JSONValue] {
    try #require(try APIJSON.decode(JSONValue.self, from: try APIJSON.encode(value)).objectValue)
}

@Suite("JSON as LXD writes it")
struct CodingTests {
    @Test("An async reply with its operation")
    func operation() throws {
        let reply = try decode(
            Response<ApusAPI.Operation>.self,
            """
            {"type":"async","status":"Operation created","status_code":100,
             "operation":"/1.0/operations/096e99b4-4f26-4cde-8d2e-ae405b1ae8c6","error_code":0,"error":"",
             "metadata":{"id":"096e99b4-4f26-4cde-8d2e-ae405b1ae8c6","class":"task",
              "description":"Creating instance","created_at":"2026-11-22T23:29:58.354086948Z",
              "updated_at":"2026-11-22T23:29:58.354086948Z","status":"Running","status_code":103,
              "resources":{"containers":["/1.0/containers/nn1"],"instances":["/1.0/instances/nn1"]},
              "metadata":null,"may_cancel":false,"err":"","location":"none"}}
            """)
        let operation = try #require(reply.metadata)
        #expect(reply.type == "async")
        #expect(operation.state == .running)
        #expect(operation.class == "task")
        #expect(operation.resources?["instances"] == ["/1.0/instances/nn1"])
        #expect(operation.createdAt.description == "2026-11-22T23:29:58.354086948Z")
        #expect(try object(operation)["metadata"] == .null)
    }

    @Test("An error reply has every field of LXD's")
    func error() throws {
        let reply = try object(Response<Empty>.error(404, "Instance not found"))
        #expect(
            reply == [
                "type": "error", "status": "", "status_code": 0, "operation": "", "error_code": 404,
                "error": "Instance not found", "metadata": .null,
            ])
    }

    @Test("A container, with fields this version does not know")
    func instance() throws {
        let instance = try decode(
            Instance.self,
            """
            {"architecture":"x86_64","config":{"image.os":"BusyBox","user.q":"2"},"devices":{},"ephemeral":false,
             "profiles":["default"],"stateful":false,"description":"","created_at":"2026-11-22T23:09:57.601809517Z",
             "expanded_config":{"user.q":"2"},"expanded_devices":{"root":{"path":"/","pool":"default","type":"disk"}},
             "name":"apic1","status":"Running","status_code":103,"last_used_at":"2026-11-22T23:17:14.423782514Z",
             "location":"none","type":"container","project":"default","backups":null,"never_heard_of":{"a":[1]}}
            """)
        #expect(instance.name == "apic1")
        #expect(instance.expandedDevices["root"]?["pool"] == "default")
        #expect(instance.state == nil)
        let again = try object(instance)
        #expect(again["status_code"] == 103)
        #expect(again["last_used_at"] == "2026-11-22T23:17:14.423782514Z")
        #expect(again["state"] == nil)
    }

    @Test("The state of a stopped container has a null network")
    func state() throws {
        let state = try decode(
            InstanceState.self,
            """
            {"status":"Stopped","status_code":102,"disk":{},"memory":{"usage":0,"usage_peak":0,"swap_usage":0,
             "swap_usage_peak":0},"network":null,"pid":0,"processes":0,"cpu":{"usage":0}}
            """)
        #expect(state.network == nil)
        #expect(try object(state)["network"] == .null)
    }

    @Test("A snapshot")
    func snapshot() throws {
        let snapshot = try decode(
            InstanceSnapshot.self,
            #"{"expires_at":"0001-01-01T00:00:00Z","name":"snapB","size":-1,"stateful":true,"profiles":["default"]}"#
        )
        #expect(snapshot.expiresAt.isZero)
        #expect(snapshot.stateful)
        #expect(snapshot.size == -1)
        #expect(try object(snapshot)["expires_at"] == "0001-01-01T00:00:00Z")
    }

    @Test("What clients leave out takes its default; null does too")
    func defaults() throws {
        let put = try decode(
            InstancePut.self,
            #"{"config":null,"devices":null,"profiles":null,"restore":"c/s0","stateful":true}"#)
        #expect(put.config.isEmpty && put.profiles.isEmpty)
        #expect(put.restore == "c/s0" && put.stateful)
        let post = try decode(InstancesPost.self, #"{"name":"a","profiles":null,"source":{"type":"none"}}"#)
        #expect(post.profiles == nil)
        #expect(post.source.type == "none")
        #expect(try decode(InstancesPost.self, "{}").source.type.isEmpty)
        #expect(try decode(InstancesPost.self, #"{"profiles":[]}"#).profiles == [])
    }

    @Test("exec's keys have hyphens")
    func exec() throws {
        let post = try decode(
            ExecPost.self,
            #"{"command":["true"],"wait-for-websocket":true,"interactive":false,"record-output":true,"width":0}"#
        )
        #expect(post.waitForWebsocket && post.recordOutput)
        #expect(try object(post)["wait-for-websocket"] == true)
        let control = try decode(
            ExecControl.self, #"{"command":"window-resize","args":{"height":"40","width":"120"},"signal":0}"#)
        #expect(control.args["height"] == "40")
        #expect(try decode(ExecControl.self, #"{"command":"signal","args":null,"signal":15}"#).signal == 15)
    }

    @Test("Drivers keep LXD's capital letters")
    func drivers() throws {
        #expect(try object(StorageDriverInfo(name: "dir", version: "1"))["Name"] == "dir")
    }

    @Test("The wrong type is refused, with the place")
    func wrongType() {
        #expect(throws: DecodingError.self) { try decode(InstancePut.self, #"{"config":{"a":1}}"#) }
        #expect(throws: DecodingError.self) { try decode(InstancePut.self, "[]") }
    }
}

@Suite("Times")
struct TimestampTests {
    @Test(
        "RFC 3339, there and back",
        arguments: [
            "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-11-22T23:29:58.354086948Z",
            "2000-02-29T12:00:00Z",
            "1969-12-31T23:59:59.5Z", "9999-12-31T23:59:59Z",
        ])
    func roundTrip(text: String) throws {
        #expect(try #require(Timestamp(text)).description == text)
    }

    @Test("An offset is taken into account")
    func offset() {
        #expect(Timestamp("2026-01-01T02:00:00+02:00") == Timestamp("2026-01-01T00:00:00Z"))
        #expect(Timestamp("2026-01-01T00:00:00.1-01:30")?.description == "2026-01-01T01:30:00.1Z")
    }

    @Test(
        "What is no time",
        arguments: ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00"])
    func refused(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test("Zero is Go's zero, and before everything")
    func zero() {
        #expect(Timestamp.zero.isZero)
        #expect(Timestamp.zero < Timestamp.now())
    }
}
