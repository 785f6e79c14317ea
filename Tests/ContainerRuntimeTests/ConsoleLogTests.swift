import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

@Suite("The log of a console")
struct ConsoleLogTests {
    private func withLog(_ body: (String) throws -> Void) throws {
        let path = "/tmp/console-log-\(getpid())-\(UInt32.random(in: .min ... .max))"
        defer { for suffix in ["", ".old"] { unlink(path + suffix) } }
        try body(path)
    }

    @Test("A new life reads what a former one has printed")
    func goesOn() throws {
        try withLog { path in
            ConsoleLog(path: path).append(Array("one\ntwo\n".utf8))
            let next = ConsoleLog(path: path)
            #expect(next.tail(100) == Array("one\ntwo\n".utf8))
            next.append(Array("three\n".utf8))
            let text = try Files.text(path)
            #expect(text == "one\ntwo\nthree\n")
        }
    }

    @Test("What is cut off begins with a whole line")
    func wholeLines() throws {
        try withLog { path in
            let log = ConsoleLog(path: path)
            log.append(Array("first\nsecond\nthird\n".utf8))
            #expect(log.tail(10) == Array("third\n".utf8))
        }
    }

    @Test("A log that has just been begun is continued by the one before it")
    func rotated() throws {
        try withLog { path in
            let log = ConsoleLog(path: path, limit: 8)
            log.append(Array("a\nb\nc\nd\ne\n".utf8))
            log.append(Array("f\n".utf8))
            let text = try Files.text(path)
            #expect(text == "f\n")
            #expect(log.tail(100) == Array("a\nb\nc\nd\ne\nf\n".utf8))
            #expect(log.tail(5) == Array("e\nf\n".utf8))
        }
    }

    @Test("Without a path nothing is kept")
    func none() {
        let log = ConsoleLog(path: "")
        log.append([1, 2, 3])
        #expect(log.tail(10) == [])
    }
}
