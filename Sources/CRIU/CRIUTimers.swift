internal import SwiftProtobuf

/// Mends what a dump gets wrong about timers.
public enum CRIUTimers {
    /// A periodic timer descriptor that had expired, and was not yet read, is dumped with nothing left to
    /// run and would never fire again. Gives such timers one interval to run. Returns how many there were;
    /// nil: nothing to do, the image stands as it is.
    public static func mendExpired(_ image: CRIUImage) throws(CRIUError) -> CRIUImage? {
        var mended = image
        var count = 0
        for (index, entry) in image.entries.enumerated() {
            var file: criu_file = try image.decode(entry)
            guard file.hasTimerfd, isStuck(file.timerfd) else { continue }
            file.timerfd.vsec = file.timerfd.isec
            file.timerfd.vnsec = file.timerfd.insec
            do {
                mended.entries[index] = try file.serializedBytes()
            } catch {
                throw CRIUError(.badImage, "\(image.name): a timer cannot be written back: \(error)")
            }
            count += 1
        }
        return count == 0 ? nil : mended
    }

    /// Periodic, armed, with nothing left to run.
    private static func isStuck(_ timer: criu_timerfd) -> Bool {
        timer.vsec == 0 && timer.vnsec == 0 && (timer.isec != 0 || timer.insec != 0)
    }
}
