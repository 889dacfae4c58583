import Platform
import Testing

@Suite struct ProcessIdentityTests {
    @Test func thisProcessLives() throws {
        let me = ProcessIdentity.current
        #expect(me.isAlive == true)
        #expect(ProcessIdentity(me.description) == me)
    }

    @Test func anotherStartIsAnotherProcess() throws {
        var other = ProcessIdentity.current
        other.start = "1-00000000"
        #expect(other.isAlive == false)
        other.pid = 0x7FFF_FFF0
        #expect(other.isAlive == false)
    }

    @Test func othersHostsAreUnknown() throws {
        var other = ProcessIdentity.current
        other.host += "-other"
        #expect(other.isAlive == nil)
    }

    @Test(arguments: ["", "a/b", "a/b/c", "host/12/3/4"])
    func whatIsNoIdentityIsRefused(_ text: String) {
        #expect(ProcessIdentity(text) == nil)
    }
}
