/// The version of this program, as `cistern --version` and snapshots tell it.
package let cisternVersion = "cistern 0.1.0"
