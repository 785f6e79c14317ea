import ApusCommands

@main
struct Main {
    static func main() async { await Apus.main() }
}
