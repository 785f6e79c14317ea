package import HummingbirdCore

/// An HTTP response; the API's own envelope is `ApusAPI.Response`.
package typealias HTTPReply = HummingbirdCore.Response
