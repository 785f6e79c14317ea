extension String {
    /// The text with nothing in it that would move the cursor, or colour the terminal: containers choose such names.
    package var printable: String {
        let isPlain = unicodeScalars.allSatisfy { !Self.isControl($0) }
        guard !isPlain else { return self }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars { result.append(Self.isControl(scalar) ? "?" : scalar) }
        return String(result)
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
