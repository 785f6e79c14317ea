import ApusClient
import NIOCore
import NIOWebSocket
import Testing

/// Frames as bytes, with examples of RFC 6455 and every way to cut them up.
struct WebSocketFrameTests {
    private func parse(_ bytes: [UInt8], fromClient: Bool, step: Int) throws -> [WebSocketFrame] {
        var parser = WebSocketFrameParser(fromClient: fromClient)
        var frames: [WebSocketFrame] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            parser.take(ByteBuffer(bytes: bytes[start..<min(bytes.count, start + step)]))
            while let frame = try parser.next() { frames.append(frame) }
        }
        return frames
    }

    @Test("The standard's masked and unmasked hello, a ping between", arguments: [1, 2, 3, 7, 100])
    func examples(step: Int) throws {
        let masked: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        let text = try parse(masked, fromClient: true, step: step)
        #expect(text.map { String(buffer: $0.data) }.joined() == "Hello")
        #expect(text.first?.opcode == .text)
        #expect(text.dropFirst().allSatisfy { $0.opcode == .continuation })
        #expect(text.last?.fin == true)
        #expect(text.dropLast().allSatisfy { !$0.fin })
        let mixed: [UInt8] = [0x02, 0x02, 1, 2, 0x89, 0x01, 9, 0x80, 0x00]
        let frames = try parse(mixed, fromClient: false, step: step)
        #expect(frames.filter { $0.opcode == .ping }.map { $0.data.readableBytes } == [1])
        #expect(
            frames.filter { $0.opcode != .ping }.reduce(into: [UInt8]()) { $0 += $1.data.readableBytesView }
                == [
                    1, 2,
                ])
        #expect(frames.last?.fin == true)
    }

    @Test(
        "What the protocol forbids",
        arguments: [
            ([0x82, 0x00] as [UInt8], true), ([0x82, 0x80, 1, 2, 3, 4], false), ([0xC2, 0x00], false),
            ([0x83, 0x00], false), ([0x09, 0x00], false), ([0x89, 0x7E, 0, 200], false),
            ([0x82, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0, 0], false),
        ])
    func violations(bytes: [UInt8], fromClient: Bool) {
        #expect(throws: WebSocketFrameParser.Violation.self) {
            let frames = try parse(bytes, fromClient: fromClient, step: 100)
            // Opcodes that nobody knows are refused by whoever assembles messages.
            var assembler = WebSocketAssembler(peer: .local)
            for frame in frames {
                do {
                    _ = try assembler.receive(frame)
                } catch {
                    throw WebSocketFrameParser.Violation(code: 1002, description: "\(error)")
                }
            }
        }
    }

    @Test("Masks of every length and offset, as the standard defines them")
    func masks() throws {
        let key = try #require(WebSocketMaskingKey([0x37, 0xFA, 0x21, 0x3D]))
        for count in 0..<40 {
            for offset in 0..<9 {
                let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
                var bytes = ByteBuffer(bytes: plain)
                bytes.withUnsafeMutableReadableBytes { bytes in
                    guard let start = bytes.baseAddress else { return }
                    WebSocketMask(key).advanced(by: offset).apply(UnsafeRawBufferPointer(bytes), to: start)
                }
                let expected = plain.enumerated().map { $1 ^ key[($0 + offset) % 4] }
                #expect(Array(bytes.readableBytesView) == expected)
            }
        }
    }
}
