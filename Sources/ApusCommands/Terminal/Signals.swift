@preconcurrency import Dispatch
import Glibc

/// The write end of the pipe that signal handlers fill; a handler may do little else.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// Signals as a stream, instead of what they would do by themselves.
package final class Signals: Sendable {
    /// The signals, as they come.
    package let stream: AsyncStream<Int32>
    private let source: any DispatchSourceRead

    /// Catches these signals from now on. Once per program.
    package init(_ signals: [Int32]) {
        let (reading, writing) = FileIO.pipe()
        signalPipe = writing
        let source = DispatchSource.makeReadSource(fileDescriptor: reading)
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        source.setEventHandler {
            var numbers = [UInt8](repeating: 0, count: 64)
            let count = read(reading, &numbers, numbers.count)
            for number in numbers.prefix(max(0, count)) { continuation.yield(Int32(number)) }
        }
        self.stream = stream
        self.source = source
        source.activate()
        for signal in signals {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let before = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(signalPipe, &byte, 1)
                errno = before
            }
            action.sa_flags = SA_RESTART
            sigaction(signal, &action, nil)
        }
    }
}
