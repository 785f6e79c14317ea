import CRIU
import Testing

/// The messages of `criu swrk`, against bytes as CRIU writes and reads them.
@Suite struct MessageTests {
    @Test func versionRequestIsOneField() throws {
        #expect(try CRIURequest.version.encoded() == [0x08, 10])
    }

    @Test func answerToNotificationSaysWhetherItSucceeded() throws {
        #expect(try CRIURequest.answer(success: true).encoded() == [0x08, 6, 0x18, 1])
        #expect(try CRIURequest.answer(success: false).encoded() == [0x08, 6, 0x18, 0])
    }

    @Test func dumpRequestCarriesItsOptions() throws {
        let common = CRIUCommonOptions(
            logFile: "x.log", external: ["mnt[/dev/null]:dev-null"], networkLock: .skip,
            emptyNetworkNamespace: true)
        let options = CRIUDumpOptions(pid: 42, imageDirectory: "/x", leaveRunning: true, common: common)
        let bytes = try CRIURequest.dump(options, imageDirectory: 7, workDirectory: nil).encoded()
        #expect(bytes.prefix(2) == [0x08, 1])
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("mnt[/dev/null]:dev-null"))
        #expect(text.contains("x.log"))
    }

    @Test func pagesGoWhereTheDumpIsTold() throws {
        func bytes(_ pages: CRIUDumpOptions.Pages) throws -> [UInt8] {
            let options = CRIUDumpOptions(pid: 42, imageDirectory: "/x", pages: pages)
            return try CRIURequest.dump(options, imageDirectory: 7, workDirectory: nil).encoded()
        }
        // ps { fd: 4 } is field 11, lazy_pages field 48.
        let socket: [UInt8] = [0x5a, 2, 0x20, 4]
        let lazy: [UInt8] = [0x80, 0x03, 1]
        #expect(try !bytes(.files).contains(socket) && !bytes(.files).contains(lazy))
        #expect(try bytes(.socket).contains(socket))
        #expect(try bytes(.lazy).contains(lazy) && !bytes(.lazy).contains(socket))
    }

    @Test func pageServersAreStartedAndWaitedFor() throws {
        let bytes = try CRIURequest.pageServer(
            CRIUCommonOptions(), imageDirectory: 7, workDirectory: nil
        ).encoded()
        #expect(bytes.prefix(2) == [0x08, 12])
        #expect(bytes.contains([0x5a, 2, 0x20, 4]))
        // keep_open
        #expect(bytes.contains([0x20, 1]))
        #expect(try CRIURequest.wait(pid: 300).encoded() == [0x08, 11, 0x30, 0xac, 0x02])
        // type PAGE_SERVER, success, ps { pid: 300 }
        #expect(
            try CRIUResponse(decoding: [0x08, 5, 0x10, 1, 0x32, 3, 0x18, 0xac, 0x02]) == .pageServer(pid: 300)
        )
        // type WAIT_PID, success, status 256
        #expect(try CRIUResponse(decoding: [0x08, 11, 0x10, 1, 0x58, 0x80, 0x02]) == .ended(status: 256))
    }

    @Test func notificationIsDecoded() throws {
        // type NOTIFY, success, notify { script: "setup-namespaces", pid: 77 }
        let script = Array("setup-namespaces".utf8)
        let notify: [UInt8] = [0x0a, UInt8(script.count)] + script + [0x10, 77]
        let bytes: [UInt8] = [0x08, 6, 0x10, 1, 0x2a, UInt8(notify.count)] + notify
        #expect(try CRIUResponse(decoding: bytes) == .notification(script: "setup-namespaces", pid: 77))
        #expect(CRIUNotification.Moment(rawValue: "setup-namespaces") == .setupNamespaces)
    }

    @Test func versionIsDecoded() throws {
        // type VERSION, success, version { 4, 2, sublevel 1 }
        let bytes: [UInt8] = [0x08, 10, 0x10, 1, 0x52, 6, 0x08, 4, 0x10, 2, 0x20, 1]
        #expect(
            try CRIUResponse(decoding: bytes) == .version(CRIUVersion(major: 4, minor: 2, patch: 1)))
    }

    @Test func failureKeepsErrnoAndMessage() throws {
        let message = Array("no such process".utf8)
        let bytes: [UInt8] = [0x08, 1, 0x10, 0, 0x38, 3, 0x4a, UInt8(message.count)] + message
        #expect(try CRIUResponse(decoding: bytes) == .failed(errnoCode: 3, message: "no such process"))
    }

    @Test(arguments: [[], [0xff], [0x08], [0x08, 1], [0x08, 6, 0x10, 1, 0x2a, 200, 1]] as [[UInt8]])
    func whatIsNoAnswerIsRefused(_ bytes: [UInt8]) {
        #expect(throws: CRIUError.self) { try CRIUResponse(decoding: bytes) }
    }

    @Test func versionsAreOrdered() {
        #expect(CRIUVersion(major: 4, minor: 1, patch: 1) < CRIUVersion(major: 4, minor: 2))
        #expect(CRIUVersion(major: 4, minor: 2).description == "4.2")
        #expect(CRIUVersion(major: 4, minor: 2, patch: 1).description == "4.2.1")
    }
}
