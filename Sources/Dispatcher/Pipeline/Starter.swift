internal import Platform

/// The files that `cistern init` writes: a configuration and two pipelines, with comments.
package enum Starter {
    /// A file to be written: its path inside of the folder, its text.
    package struct File: Sendable {
        package var path: String
        package var text: String
    }

    /// The files, in the order in which they are told of.
    package static let files = [
        File(path: "cistern.yaml", text: configuration),
        File(path: "pipelines/nightly.yaml", text: nightly),
        File(path: "pipelines/verify.yaml", text: verify),
    ]

    static let configuration = """
        # The configuration of Cistern. Relative paths start at this file's folder; unknown keys are
        # errors. `cistern configcheck` tells every mistake with its line.

        # Where lists, checkpoints and jobs are kept. Losing it costs time, not data.
        state: ./state

        # Where the content goes: a restic repository, so that restic can read all of it.
        store:
          url: file:./store
          # One line, mode 0600, made on first use. Keep a copy elsewhere: without it the store
          # cannot be read by anybody. `restic --password-file` takes it as it is.
          password_file: ./store.key
          # A repository and a password for each module, so that who destroys a password destroys
          # the module in all copies. In the place of the line above; modules share nothing then.
          # scope: module
          # password_file: ./keys/{module}.key
          # url: s3:https://s3.example.org/bucket/prefix   # keys from AWS_ACCESS_KEY_ID or ~/.aws
          # url: rest:https://user:secret@example.org/repo # restic's protocol: rclone serves it
          # mirrors: [file:/mnt/second/store]              # the same objects in further places

        # The directories to look after. Names: letters, digits and -, at most 63 characters.
        modules: []
        #  - {name: web, path: /srv/web}
        #  - name: mail
        #    path: /var/mail
        #    exclude: ["*.tmp", "cache/"]      # as in a .gitignore
        #    one_file_system: true             # leave other mounts below it out
        #  - root: /srv/modules                # every sub-directory is a module of that name
        #    include: ["*"]                    # patterns over the names
        #    exclude: ["lost*"]
        #    module_exclude: ["*.tmp"]         # files left out in each of them

        # How many worker processes a run keeps.
        workers: 2

        # How many finished lists of each module are kept for `cistern results`.
        keep_runs: 3

        # Which snapshots `cistern prune` keeps; without this, all. The newest always stays.
        # retention:
        #  - modules: ["*"]
        #    keep: [{last_n: 5}, {daily: 14}, {weekly: 8}, {monthly: 12}, {yearly: all}]

        """

    static let nightly = """
        # List every module, check it against the store, repair, and store what is new.
        # Run it with `cistern run nightly`; running it again goes on where it was stopped.
        name: nightly

        # Patterns over the names of the modules.
        modules: ["*"]

        stages:
          - manifest
          # verify: true reads and hashes every file, which finds silent damage.
          - check: {verify: false}
          # rotted: restore | report      a file whose content changed by itself
          # removed: ignore | restore     a file that is gone
          # store: requeue | report       content that the store has lost
          # max_repairs: 10% or a number  more than this is a disaster, not rot: stop
          - repair: {rotted: restore, removed: ignore, store: requeue, max_repairs: 10%}
          # compression: auto | off | max, or a level from 1 to 19
          - dehydrate: {compression: auto}
          # - prune     removes what the keep rules of cistern.yaml do not keep
          # - mirror    copies what is new to the mirrors of the store

        """

    static let verify = """
        # Read and hash every file, and repair what rotted: slower, for a quiet day of the week.
        # `cistern run verify`
        name: verify
        modules: ["*"]
        stages:
          - manifest
          - check: {verify: true}
          - repair: {rotted: restore, removed: ignore, store: requeue, max_repairs: 10%}
          # What repair puts back into the store becomes part of a snapshot here.
          - dehydrate: {compression: auto}

        """
}
