internal import LinuxSystem
internal import SwiftProtobuf

/// The requests of `criu swrk`, encoded as CRIU reads them.
package enum CRIURequest {
    case dump(CRIUDumpOptions, imageDirectory: Int32, workDirectory: Int32?)
    case restore(CRIURestoreOptions, imageDirectory: Int32, workDirectory: Int32?)
    /// Receives pages from the page socket; the session then stays open for `wait`.
    case pageServer(CRIUCommonOptions, imageDirectory: Int32, workDirectory: Int32?)
    /// Waits for a child of CRIU's.
    case wait(pid: Int32)
    case check
    case version
    case features
    case answer(success: Bool)

    /// The bytes of the request.
    package func encoded() throws(CRIUError) -> [UInt8] {
        var request = criu_req()
        switch self {
        case .dump(let options, let images, let work):
            request.type = .dump
            request.opts = message(options.common, imageDirectory: images, workDirectory: work)
            request.opts.pid = options.pid
            request.opts.leaveRunning = options.leaveRunning
            request.opts.forceIrmap = options.forceIrmap
            switch options.pages {
            case .files: break
            case .socket: request.opts.ps.fd = CRIULaunch.pageSocketNumber
            case .lazy: request.opts.lazyPages = true
            }
        case .restore(let options, let images, let work):
            request.type = .restore
            request.opts = message(options.common, imageDirectory: images, workDirectory: work)
            if let root = options.root { request.opts.root = root }
            request.opts.rstSibling = options.asSibling
            if options.lazyPages { request.opts.lazyPages = true }
            request.opts.inheritFd = options.inheritedDescriptors.sorted { $0.key < $1.key }.map { key, fd in
                var entry = inherit_fd()
                entry.key = key
                entry.fd = fd
                return entry
            }
        case .pageServer(let common, let images, let work):
            request.type = .pageServerChld
            request.keepOpen = true
            request.opts = message(common, imageDirectory: images, workDirectory: work)
            // Its notification would come out of turn.
            request.opts.notifyScripts = false
            request.opts.ps.fd = CRIULaunch.pageSocketNumber
        case .wait(let pid):
            request.type = .waitPid
            request.pid = UInt32(bitPattern: pid)
        case .check: request.type = .check
        case .version: request.type = .version
        case .features:
            request.type = .featureCheck
            request.features.memTrack = true
            request.features.lazyPages = true
            request.features.pidfdStore = true
        case .answer(let success):
            request.type = .notify
            request.notifySuccess = success
        }
        do {
            return try request.serializedBytes()
        } catch {
            throw CRIUError(.protocolViolation, "cannot encode a request to CRIU: \(error)")
        }
    }

    private func message(
        _ options: CRIUCommonOptions, imageDirectory: Int32, workDirectory: Int32?
    ) -> criu_opts {
        var message = criu_opts()
        message.imagesDirFd = imageDirectory
        if let workDirectory { message.workDirFd = workDirectory }
        message.notifyScripts = true
        message.logFile = options.logFile
        message.logLevel = options.logLevel.rawValue
        message.tcpEstablished = options.tcpEstablished
        message.fileLocks = options.fileLocks
        message.linkRemap = options.linkRemap
        message.shellJob = options.shellJob
        message.extUnixSk = options.externalUnixSockets
        message.external = options.external
        message.enableFs = options.enabledFileSystems
        message.ghostLimit = options.ghostLimit
        message.orphanPtsMaster = options.orphanTerminalMasters
        if let timeout = options.timeout { message.timeout = timeout }
        if options.emptyNetworkNamespace { message.emptyNs = Namespaces.network.rawValue }
        switch options.networkLock {
        case .iptables: message.networkLock = .iptables
        case .nftables: message.networkLock = .nftables
        case .skip: message.networkLock = .skip
        }
        switch options.cgroups {
        case .ignore: message.manageCgroupsMode = .ignore
        case .soft: message.manageCgroupsMode = .soft
        }
        if let root = options.cgroupRoot {
            var entry = cgroup_root()
            entry.path = root
            message.cgRoot = [entry]
        }
        return message
    }
}

/// The answers of `criu swrk`, decoded.
package enum CRIUResponse: Equatable {
    case dumped
    case restored(pid: Int32)
    case pageServer(pid: Int32)
    /// A child of CRIU's has ended; the status is that of waitpid(2).
    case ended(status: Int32)
    case checked
    case version(CRIUVersion)
    case features(CRIUFeatures)
    case notification(script: String, pid: Int32?)
    case failed(errnoCode: Int32?, message: String?)

    /// Reads an answer.
    package init(decoding bytes: [UInt8]) throws(CRIUError) {
        let response: criu_resp
        do {
            response = try criu_resp(serializedBytes: bytes)
        } catch {
            throw CRIUError(
                .protocolViolation, "CRIU sent \(bytes.count) bytes that are not an answer: \(error)")
        }
        guard response.success else {
            self = .failed(
                errnoCode: response.hasCrErrno ? response.crErrno : nil,
                message: response.hasCrErrmsg ? response.crErrmsg : nil)
            return
        }
        switch response.type {
        case .dump: self = .dumped
        case .restore: self = .restored(pid: response.restore.pid)
        // CRIU answers both requests for a page server alike.
        case .pageServer, .pageServerChld: self = .pageServer(pid: response.ps.pid)
        case .waitPid: self = .ended(status: response.status)
        case .check: self = .checked
        case .version:
            let version = response.version
            self = .version(
                CRIUVersion(
                    major: Int(version.majorNumber), minor: Int(version.minorNumber),
                    patch: Int(version.sublevel)))
        case .featureCheck:
            let features = response.features
            self = .features(
                CRIUFeatures(
                    memoryTracking: features.memTrack, lazyPages: features.lazyPages,
                    pidfdStore: features.pidfdStore))
        case .notify:
            let notify = response.notify
            self = .notification(script: notify.script, pid: notify.hasPid ? notify.pid : nil)
        default:
            throw CRIUError(
                .protocolViolation, "CRIU sent an answer of unknown type \(response.type.rawValue)")
        }
    }
}
