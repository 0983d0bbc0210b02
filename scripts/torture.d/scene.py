"""What most drills share."""
import os, time
import check, lab, traffic

CONFIG = 'ring_mb = 32\nmedia_timeout_s = 6\nsetup_timeout_s = 8\nlog = "info"\n'


class Scene:
    """wire, witness, recorder and sender of one drill"""
    def __init__(self, name, calls, bank_seconds=60, config=CONFIG, data=None, snap=2048, lazy=False, bank=None, **traffic_):
        self.v = lab.Verdict(name)
        self.inside = os.environ['TORTURE_INSIDE']
        self.name = name
        self.wire = lab.Wire()
        self.bank = bank or traffic.Bank(min(calls, 20), bank_seconds, traffic_.get('seed', 1))
        self.path = f'{self.inside}/{name}.pcap'
        self.witness = lab.Witness(self.wire, self.path, snap=snap, lazy=lazy)
        self.recorder = lab.Recorder(self.wire, data or f'{self.inside}/{name}', config)
        self.calls, self.traffic = calls, traffic_
        self.sender = None

    def send(self):
        self.sender = traffic.Sender(self.wire, self.bank, self.calls, **self.traffic)

    def hang_up(self, spread=0.5):
        self.facts, failed, late = self.sender.end(spread)
        self.v.say(f'the sender was at most {late * 1000:.0f} ms late; {failed} packets could not be sent')

    def read(self, exports=10**9):
        """ends the witness; what was on the wire, what was recorded"""
        dropped = self.witness.stop()
        self.v.hold(dropped == 0, f'the witness itself lost {dropped} packets: the test proves nothing')
        return check.Seen().read(self.path, 14), check.Book(self.recorder, self.v, exports)

    def settle(self, seconds=25):
        """SIGTERM, a last start until all is sealed, SIGTERM"""
        status = self.recorder.stop()
        self.v.hold(status == 0, f'SIGTERM: exit {status}: {self.recorder.log[-2:]}')
        self.recorder.start()
        self.recorder.until_sealed(seconds, self.v)
        status = self.recorder.stop()
        self.v.hold(status == 0, f'SIGTERM: exit {status}: {self.recorder.log[-2:]}')

    def end(self):
        self.wire.remove()
        return self.v.end()
