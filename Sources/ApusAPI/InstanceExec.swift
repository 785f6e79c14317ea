/// What `POST /1.0/instances/<name>/exec` takes.
public struct ExecPost: Codable, Sendable, Equatable {
    /// The command and its arguments.
    @Defaulted public var command: [String]
    /// Whether the streams come as websockets; otherwise the output is thrown away or recorded.
    @Defaulted public var waitForWebsocket: Bool
    /// Whether it gets a terminal.
    @Defaulted public var interactive: Bool
    /// Environment beside the container's own.
    @Defaulted public var environment: [String: String]
    /// Columns of the terminal.
    @Defaulted public var width: Int
    /// Rows of the terminal.
    @Defaulted public var height: Int
    /// Without websockets: keep the output as log files.
    @Defaulted public var recordOutput: Bool
    /// User id inside.
    @Defaulted public var user: Int
    /// Group id inside.
    @Defaulted public var group: Int
    /// Directory to start in; empty for the user's home.
    @Defaulted public var cwd: String

    enum CodingKeys: String, CodingKey {
        case command, interactive, environment, width, height, user, group, cwd
        case waitForWebsocket = "wait-for-websocket"
        case recordOutput = "record-output"
    }

    /// A command.
    public init(command: [String]) { self.command = command }
}

/// A message on the control websocket of an exec or console session.
public struct ExecControl: Codable, Sendable, Equatable {
    /// "window-resize" or "signal".
    @Defaulted public var command: String
    /// Arguments of "window-resize": "width" and "height", as text.
    @Defaulted public var args: [String: String]
    /// The signal's number, with "signal".
    @Defaulted public var signal: Int

    /// A signal for the command.
    public static func signal(_ number: Int) -> ExecControl {
        var control = ExecControl()
        control.command = "signal"
        control.signal = number
        return control
    }

    /// A new size of the terminal.
    public static func resize(width: Int, height: Int) -> ExecControl {
        var control = ExecControl()
        control.command = "window-resize"
        control.args = ["width": String(width), "height": String(height)]
        return control
    }

    /// Nothing.
    public init() {}
}

/// What `POST /1.0/instances/<name>/console` takes.
public struct ConsolePost: Codable, Sendable, Equatable {
    /// Columns of the terminal.
    @Defaulted public var width: Int
    /// Rows of the terminal.
    @Defaulted public var height: Int
    /// "console" or empty.
    @Defaulted public var type: String

    /// A terminal's size.
    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
        type = "console"
    }
}
