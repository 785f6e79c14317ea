import ApusAPI
import Certificates
import Checkpoint
import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Migration
import Networking
import Storage

/// What this host says to the offer of a container.
struct ArrivalOutcome: Sendable {
    var answer: MoveAnswer
    var choice: TransferChoice?
}

extension ContainerService {
    /// Looks, before anything is touched, whether a running container can come.
    func check(_ arrival: Arrival, _ header: MigrationHeader) async throws -> ArrivalOutcome {
        let offer = header.apusOffer
        var answer = MoveAnswer()
        answer.version = ControlMessages.version
        answer.addresses = ownURLs
        answer.certificate = trust.identity.certificate.pem
        guard offer.version == ControlMessages.version else {
            answer.refusals = [
                "the other host speaks version \(offer.version) of the protocol and this one \(ControlMessages.version); use the same version of Apus on both"
            ]
            return ArrivalOutcome(answer: answer)
        }
        var refusals: [String] = []
        refusals += await stateObjections(offer)
        refusals += memoryObjections(offer)
        if let range = arrival.record.idmap, let other = idmaps.owner(of: range) {
            refusals.append(
                "its user ids \(range.lowerBound)-\(range.upperBound - 1), which its processes keep, are those of \"\(other)\" on the other host. Give one of the two others (security.idmap.base, with a restart), or move it with --stateless"
            )
        }
        refusals += await networkObjections(arrival, offer)
        refusals += spaceObjections(arrival, offer)
        let choice = try await transferChoice(arrival, offer)
        if choice == nil { refusals.append("the two hosts have no way in common to send its files") }
        let memory = await chooseMemory(offer)
        if let refusal = memory.refusal { refusals.append(refusal) }
        answer.memoryMode = memory.mode.rawValue
        answer.memoryReason = memory.reason
        answer.refusals = refusals
        if let choice { answer.transfer = try JSONEncoder().encode(choice) }
        return ArrivalOutcome(answer: answer, choice: choice)
    }

    private func transferChoice(_ arrival: Arrival, _ offer: MoveOffer) async throws -> TransferChoice? {
        guard let theirs = try? JSONDecoder().decode(TransferOffer.self, from: offer.transfer) else {
            return nil
        }
        return TransferNegotiation.choose(
            theirs, try await arrival.driver.transferAbility(of: nil, shared: false))
    }

    /// Processor, kernel and CRIU.
    private func stateObjections(_ offer: MoveOffer) async -> [String] {
        do {
            let checkpointer = try await context.checkpoints.checkpointer()
            let theirs = try JSONDecoder().decode(CheckpointCompatibility.self, from: offer.compatibility)
            return theirs.objection(to: checkpointer.compatibility).map {
                ["its state cannot be restored on the other host: \($0)"]
            } ?? []
        } catch {
            return ["its state cannot be restored on the other host: \(ServiceError.text(of: error))"]
        }
    }

    private func memoryObjections(_ offer: MoveOffer) -> [String] {
        let available = Machine.availableMemory
        // On its way the memory is there twice.
        guard offer.memoryBytes > available / 2 else { return [] }
        return [
            "the other host has too little memory: \(available >> 20) MiB are free, and \(offer.memoryBytes >> 19) MiB are needed"
        ]
    }

    private func spaceObjections(_ arrival: Arrival, _ offer: MoveOffer) -> [String] {
        guard let space = try? arrival.driver.space(), offer.fileBytes > space.available else { return [] }
        return [
            "storage pool \"\(arrival.record.pool)\" of the other host has too little room: \(space.available >> 20) MiB are free, and \(offer.fileBytes >> 20) MiB are needed"
        ]
    }

    /// Devices, and whether the container can keep its addresses.
    private func networkObjections(_ arrival: Arrival, _ offer: MoveOffer) async -> [String] {
        var objections: [String] = []
        do {
            try await checkDevices(arrival.record)
        } catch {
            objections.append("on the other host: \(ServiceError.text(of: error))")
        }
        let devices = owner(arrival.record).devices
        for network in offer.networks {
            guard let config = devices[network.device] else {
                objections.append(
                    "it has no network device \"\(network.device)\" on the other host; its profiles there differ"
                )
                continue
            }
            guard let bridge = Device(network.device, config).bridge else { continue }
            let subnets = await networks.subnets(of: bridge)
            guard !subnets.isEmpty else { continue }
            for address in network.addresses {
                guard let bytes = IPText.bytes(address), !subnets.contains(where: { $0.contains(bytes) })
                else {
                    continue
                }
                let there = subnets.map(\.network).joined(separator: ", ")
                objections.append(
                    "its address \(address) is not of the network \"\(bridge)\" of the other host (\(there)), so its connections would break. Give both networks the same subnet, or move it with --stateless"
                )
            }
        }
        return objections
    }
}
