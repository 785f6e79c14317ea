import CStorage
import Glibc
import LinuxSystem
import Storage
import Testing

@Suite("Streams of a peer that means ill", .enabled(if: Host.isRoot, "only root makes all kinds of files"))
struct HostileStreamTests {
    /// Records as bytes.
    private struct Script {
        var bytes: [UInt8] = [1, 1, 0]

        private mutating func number(_ value: UInt64) {
            var rest = value
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }

        mutating func named(_ record: UInt8, _ name: [UInt8]) {
            bytes.append(record)
            number(UInt64(name.count))
            bytes += name
        }

        mutating func named(_ record: UInt8, _ name: String) { named(record, Array(name.utf8)) }

        mutating func attributes(_ mode: UInt32) {
            number(UInt64(mode))
            for _ in 0..<7 { number(0) }
        }

        mutating func file(_ name: String, _ text: String, record: UInt8 = 5) {
            named(record, name)
            attributes(0o100644)
            bytes +=
                [1] + [UInt8](repeating: 0, count: 8) + [UInt8(text.utf8.count), 0, 0, 0] + text.utf8 + [0]
            number(UInt64(text.utf8.count))
        }

        mutating func symlink(_ name: String, to target: String) {
            named(7, name)
            attributes(0o120777)
            number(UInt64(target.utf8.count))
            bytes += Array(target.utf8)
        }

        mutating func add(_ more: [UInt8]) { bytes += more }
        mutating func end() { bytes.append(11) }
    }

    /// Gives a stream to a receiver; its error. Nothing may be left of it, nor outside changed.
    @discardableResult
    private func receive(_ bytes: [UInt8], _ pool: TestPool) async throws -> (any Error)? {
        let receiver = try await pool.driver.receiver(
            .container("c2"), TransferOptions(TransferChoice(.tree)))
        let (near, far) = try UnixSocket.pair(.stream)
        let receiving = Task { try await receiver.receive(over: far) }
        // Not with a plain write: whoever refuses may close before all is said.
        try await Blocking.run {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { cstorage_send(near.rawValue, $0.baseAddress, $0.count) }
                if count <= 0 { break }
                rest = rest.dropFirst(count)
            }
            shutdown(near.rawValue, Int32(SHUT_WR))
        }
        var failure: (any Error)?
        if case .failure(let error) = await receiving.result { failure = error }
        await receiver.discard()
        #expect(pool.leftovers.isEmpty)
        #expect(try Files.names(in: pool.base + "/outside") == ["kept"])
        #expect(try Files.text(pool.base + "/outside/kept") == "as it was")
        return failure
    }

    private func expectRefused(_ bytes: [UInt8], _ pool: TestPool, _ what: String = "") async throws {
        let failure = try await receive(bytes, pool)
        #expect(failure is StorageError, "\(what)")
    }

    private func expectTaken(_ bytes: [UInt8], _ pool: TestPool) async throws {
        let failure = try await receive(bytes, pool)
        #expect(failure == nil)
    }

    private func withPool(_ body: (TestPool, _ outside: String) async throws -> Void) async throws {
        try await TestPool.with { pool in
            try Files.makeDirectories(pool.base + "/outside")
            try Files.write(pool.base + "/outside/kept", "as it was")
            try await body(pool, pool.base + "/outside")
        }
    }

    @Test("Names and paths that lead out are refused") func names() async throws {
        try await withPool { pool, outside in
            for name in ["..", ".", "", "a/b", "/etc", "a\0b", String(repeating: "n", count: 256)] {
                for record: UInt8 in [3, 5, 10] {
                    var script = Script()
                    if record == 5 { script.file(name, "x") } else { script.named(record, name) }
                    script.end()
                    try await expectRefused(script.bytes, pool, "\(record) \(name)")
                }
            }
            for path in ["..", "../outside", "/etc", "a//b", "rootfs/../..", "rootfs/", "./rootfs", outside] {
                var script = Script()
                script.named(3, "rootfs")
                script.named(2, path)
                script.file("evil", "x")
                script.end()
                try await expectRefused(script.bytes, pool, "\(path)")
            }
        }
    }

    @Test("Symlinks are not followed: not to enter, not to write, not to link") func symlinks() async throws {
        try await withPool { pool, outside in
            var script = Script()
            script.symlink("rootfs", to: outside)
            script.named(2, "rootfs")
            script.file("evil", "x")
            script.end()
            try await expectRefused(script.bytes, pool)
            script = Script()
            script.symlink("kept", to: outside + "/kept")
            script.file("kept", "changed", record: 6)
            script.end()
            try await expectRefused(script.bytes, pool)
            script = Script()
            script.symlink("rootfs", to: outside)
            script.named(9, "mine")
            script.add([11] + Array("rootfs/kept".utf8))
            script.end()
            try await expectRefused(script.bytes, pool)
            // In the place of a symlink a file may come: the symlink goes.
            script = Script()
            script.symlink("kept", to: outside + "/kept")
            script.file("kept", "a file of its own")
            script.end()
            try await expectTaken(script.bytes, pool)
        }
    }

    @Test("Lengths without measure are refused before there is room for them") func lengths() async throws {
        try await withPool { pool, _ in
            let endless = [UInt8](repeating: 0xff, count: 12)
            let beginnings: [[UInt8]] = [
                [9], [1, 7, 0], [1, 1, 9], [1, 1, 0, 99], [1, 1, 0, 5] + endless, [1, 1, 0, 2] + endless,
            ]
            for bytes in beginnings {
                try await expectRefused(bytes, pool)
            }
            var script = Script()
            script.named(5, "huge")
            script.attributes(0o100644)
            script.add([1] + [UInt8](repeating: 0x7f, count: 8) + [0xff, 0xff, 0xff, 0x7f])
            try await expectRefused(script.bytes, pool)
        }
    }

    @Test("A stream with any byte changed is taken or refused, no more") func mutations() async throws {
        try await withPool { pool, _ in
            let sender = try await pool.driver.sender(
                VolumeSource(.container("c1")), TransferOptions(TransferChoice(.tree)))
            let (near, far) = try UnixSocket.pair(.stream)
            let sending = Task { try await sender.send(.first, over: near) }
            // There is nothing here; and when all has come: it is there.
            try far.write([4])
            var whole: [UInt8] = []
            while whole.count < 1_300_000 || whole.last != 11 {
                try await far.readable()
                whole += try far.read(upTo: 1 << 20)
            }
            try far.write([1])
            _ = try await sending.value
            try await expectTaken(whole, pool)
            var random: UInt64 = 0x2545_f491_4f6c_dd1d
            for _ in 0..<60 {
                var bytes = whole
                for _ in 0..<3 {
                    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    // Most of a stream is data; what is not lies in the beginning.
                    bytes[Int(random >> 33) % 3000] = UInt8(truncatingIfNeeded: random >> 20)
                }
                let failure = try await receive(bytes, pool)
                #expect(failure == nil || failure is StorageError)
            }
        }
    }
}
