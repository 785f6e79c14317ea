public import ApusAPI
import Checkpoint
import ContainerRuntime
import LinuxSystem

extension ContainerService {
    /// Looks for what stands in the way of saving a container's running state. Nothing is stopped.
    public func checkCheckpoint(_ name: String) async throws -> CheckpointCheck {
        let live = try live(name)
        let checkpointer = try await context.checkpoints.checkpointer()
        let begin = ContinuousClock.now
        let findings = try await checkpointer.inspect(subject(live))
        let took = ContinuousClock.now - begin
        return CheckpointCheck(
            possible: !findings.contains { $0.level == .blocks },
            processes: Int(live.cgroup.statistics().processes ?? 0), tookMicroseconds: took.microseconds,
            findings: findings.map(CheckpointCheckFinding.init))
    }

    /// What is looked for.
    public nonisolated func checkpointRules() -> [CheckpointCheckRule] {
        CheckpointRule.all.map {
            CheckpointCheckRule(
                id: $0.id, level: $0.level.rawValue, title: $0.title, reason: $0.reason, advice: $0.advice)
        }
    }
}

extension CheckpointCheckFinding {
    /// As the API shows it.
    init(_ finding: CheckpointFinding) {
        self.init()
        id = finding.id
        level = finding.level.rawValue
        pid = Int64(finding.pid ?? 0)
        process = finding.process ?? ""
        unit = finding.unit ?? ""
        object = finding.object
        reason = finding.reason
        advice = finding.advice
    }
}
