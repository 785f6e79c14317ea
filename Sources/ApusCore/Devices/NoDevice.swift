/// Hides a device that a profile brings.
struct NoDevice: DeviceType {
    let title = "`none`"
    let summary = "Hides the device of the same name that a profile brings."
    let checkpoint = "nothing to save."
    let keys: [DeviceKey] = []

    func describes(_ device: Device) -> Bool { device.type == "none" }
}
