import LinuxSystem

/// What a `FileAgent` is asked to do.
enum FileRequest {
    case open(path: String, follow: Bool)
    case write(path: String, ContainerFileAttributes, append: Bool)
    case commit
    case cancel
    case makeDirectory(path: String, ContainerFileAttributes, parents: Bool)
    case makeSymlink(path: String, target: String, ContainerFileAttributes)
    case remove(path: String, recursive: Bool)

    func encoded() -> [UInt8] {
        var wire = WireWriter()
        switch self {
        case .open(let path, let follow):
            wire.byte(1)
            wire.text(path)
            wire.flag(follow)
        case .write(let path, let attributes, let append):
            wire.byte(2)
            wire.text(path)
            wire.attributes(attributes)
            wire.flag(append)
        case .commit: wire.byte(3)
        case .cancel: wire.byte(4)
        case .makeDirectory(let path, let attributes, let parents):
            wire.byte(5)
            wire.text(path)
            wire.attributes(attributes)
            wire.flag(parents)
        case .makeSymlink(let path, let target, let attributes):
            wire.byte(6)
            wire.text(path)
            wire.text(target)
            wire.attributes(attributes)
        case .remove(let path, let recursive):
            wire.byte(7)
            wire.text(path)
            wire.flag(recursive)
        }
        return wire.bytes
    }

    init(decoding bytes: [UInt8]) throws {
        var wire = WireReader(bytes)
        switch try wire.byte() {
        case 1: self = .open(path: try wire.text(), follow: try wire.flag())
        case 2: self = .write(path: try wire.text(), try wire.attributes(), append: try wire.flag())
        case 3: self = .commit
        case 4: self = .cancel
        case 5: self = .makeDirectory(path: try wire.text(), try wire.attributes(), parents: try wire.flag())
        case 6: self = .makeSymlink(path: try wire.text(), target: try wire.text(), try wire.attributes())
        case 7: self = .remove(path: try wire.text(), recursive: try wire.flag())
        default: throw WireReader.malformed
        }
        try wire.end()
    }
}

/// What a `FileAgent` answers. A file's data comes as a descriptor beside it.
enum FileReply {
    case done
    case failed(ContainerFileError)
    case file(ContainerFileInfo)
    case directory(ContainerFileInfo, [ContainerDirectoryEntry])
    case symlink(ContainerFileInfo, target: String)

    func encoded() -> [UInt8] {
        var wire = WireWriter()
        switch self {
        case .done: wire.byte(0)
        case .failed(let error):
            wire.byte(1)
            wire.text(error.code.rawValue)
            wire.text(error.message)
        case .file(let info):
            wire.byte(2)
            wire.info(info)
        case .directory(let info, let entries):
            wire.byte(3)
            wire.info(info)
            wire.list(entries) {
                $0.text($1.name)
                $0.info($1.info)
            }
        case .symlink(let info, let target):
            wire.byte(4)
            wire.info(info)
            wire.text(target)
        }
        return wire.bytes
    }

    init(decoding bytes: [UInt8]) throws {
        var wire = WireReader(bytes)
        switch try wire.byte() {
        case 0: self = .done
        case 1:
            let code = ContainerFileError.Code(rawValue: try wire.text()) ?? .system
            self = .failed(ContainerFileError(code, try wire.text()))
        case 2: self = .file(try wire.info())
        case 3:
            self = .directory(
                try wire.info(),
                try wire.list { ContainerDirectoryEntry(name: try $0.text(), info: try $0.info()) })
        case 4: self = .symlink(try wire.info(), target: try wire.text())
        default: throw WireReader.malformed
        }
        try wire.end()
    }
}

extension WireWriter {
    fileprivate mutating func attributes(_ attributes: ContainerFileAttributes) {
        for value in [attributes.user, attributes.group, attributes.mode] {
            flag(value != nil)
            uint32(value ?? 0)
        }
    }

    fileprivate mutating func info(_ info: ContainerFileInfo) {
        text(info.type.rawValue)
        uint32(info.user)
        uint32(info.group)
        uint32(info.mode)
        int64(info.size)
        int64(info.modified)
    }
}

extension WireReader {
    fileprivate mutating func attributes() throws -> ContainerFileAttributes {
        var values: [UInt32?] = []
        for _ in 0..<3 {
            let isGiven = try flag()
            let value = try uint32()
            values.append(isGiven ? value : nil)
        }
        return ContainerFileAttributes(user: values[0], group: values[1], mode: values[2])
    }

    fileprivate mutating func info() throws -> ContainerFileInfo {
        ContainerFileInfo(
            type: ContainerFileType(rawValue: try text()) ?? .other, user: try uint32(), group: try uint32(),
            mode: try uint32(), size: try int64(), modified: try int64())
    }
}
