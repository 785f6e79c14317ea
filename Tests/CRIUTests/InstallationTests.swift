import CRIU
import Testing

/// Where CRIU is looked for.
@Suite struct InstallationTests {
    @Test func anExplicitProgramComesFirst() throws {
        let installation = try CRIUInstallation.locate(environment: ["APUS_CRIU": "/bin/true", "PATH": "/x"])
        #expect(installation.command == ["/bin/true"])
    }

    @Test func anExplicitProgramMustExist() {
        #expect(throws: CRIUError.self) {
            try CRIUInstallation.locate(environment: ["APUS_CRIU": "/nonexistent/criu"])
        }
    }

    @Test func aPrefixMustHoldAllThatIsNeeded() {
        #expect(throws: CRIUError.self) {
            try CRIUInstallation.locate(environment: ["APUS_CRIU_PREFIX": "/nonexistent"])
        }
    }

    @Test func aProgramThatIsNotCRIUIsNoticed() {
        let error = #expect(throws: CRIUError.self) {
            try CRIUInstallation(executable: "/bin/true").version()
        }
        #expect(error?.code == .connectionClosed)
    }

    @Test func aProgramThatIsMissingIsNoticed() {
        let error = #expect(throws: CRIUError.self) {
            try CRIUInstallation(executable: "/nonexistent/criu").version()
        }
        #expect(error?.code == .system)
    }
}
