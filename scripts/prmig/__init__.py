# SPDX-License-Identifier: Apache-2.0
"""What prmigctl is made of.

    bus           org.prmig1 of one host, by the system bus or through a transport
    target        a nexus or a group on a host: the calls of prmig on it
    scsi          PERSISTENT RESERVE IN by SG_IO
    reservations  what it returned, decoded and put into words
    qmp           QEMU's machine protocol
    journal       what a migration has begun, on disk
    sides         both ends of a migration
    takeback      the reservation back to the source
    migrate       a whole live migration, and what undoes or finishes one
    report        what is printed meanwhile
    show          list, show and watch
    cli           the commands
"""
